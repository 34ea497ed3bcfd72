package rdb

import (
	"io"
	"strconv"

	"github.com/lockstepkv/lockstep/store"
)

// ReadOptions are the terms of ReadWith and Scan.
type ReadOptions struct {
	// File is the name that errors give.
	File string

	// NowMillis is the time of reading, Unix milliseconds. Idle times in files
	// of Redis count from it. 0 when unknown.
	NowMillis int64

	// DropExpired leaves out keys whose time was up before NowMillis, as a
	// Redis primary does when it loads a file. A state machine keeps them: its
	// own clock decides when they go.
	DropExpired bool

	// Packed, if not nil, says that collections are welcome, and how far those of Redis
	// are packed. Otherwise they are refused: they have no Value. In a file
	// of Lockstep they keep their form, and ReadWith takes them in any case.
	Packed *store.Limits

	intoStore bool // what is read goes into a store, which keeps every type
}

// Info tells what a file was.
type Info struct {
	// Aux holds the AUX fields in order: of a file of Lockstep those that Write
	// was given, of another file all.
	Aux        []Aux
	RDBVersion int
	Lockstep   bool   // written by this package
	Revision   uint64 // of the store, in a file of Lockstep
	Keys       int    // keys handed out
	Expired    int    // keys left out by DropExpired
	Bytes      int64  // size of the file
}

// Read fills a new store from an RDB file of Lockstep or of Redis (of any
// version, as long as all that is in it is known) and returns the AUX fields. It reads r to its end. Nothing is returned
// unless the whole file was read and its checksum is right. Every error is a
// *CorruptError, which wraps ErrDamaged, ErrUnsupported or r's own error.
//
// Expired keys are kept. From a file of Lockstep the store gets the versions,
// the revision and the access data that the old one had.
func Read(r io.Reader, o store.Options) (*store.Store, []Aux, error) {
	s, info, err := ReadWith(r, o, ReadOptions{})
	if err != nil {
		return nil, nil, err
	}
	return s, info.Aux, nil
}

// ReadWith is Read with more to choose and to learn.
func ReadWith(r io.Reader, o store.Options, ro ReadOptions) (*store.Store, *Info, error) {
	s := store.New(o)
	s.Advance(ro.NowMillis)
	ro.intoStore = true
	info, err := Scan(r, ro, func(it store.Item) error {
		before := s.Len()
		s.Restore(it)
		if s.Len() == before {
			return Damaged("key %q comes twice", it.Key)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	s.SetRevision(info.Revision)
	return s, info, nil
}

// Scan calls fn for each key of an RDB file. The item's slices are valid during
// the call. That an earlier part of the file is damaged may become known only at
// its end: what fn did is worth nothing unless Scan returns no error.
func Scan(r io.Reader, ro ReadOptions, fn func(store.Item) error) (*Info, error) {
	f := fileReader{decoder: newDecoder(r), opt: ro, fn: fn}
	if err := f.read(); err != nil {
		return nil, &CorruptError{File: ro.File, Offset: f.offset(), Err: err}
	}
	f.info.RDBVersion, f.info.Bytes = f.version, f.offset()
	return &f.info, nil
}

type fileReader struct {
	*decoder
	opt   ReadOptions
	fn    func(store.Item) error
	info  Info
	chunk chunkReader
	item  store.Item // what opcodes said about the next key
}

func (f *fileReader) read() error {
	if err := f.header(); err != nil {
		return err
	}
	for {
		op, err := f.byte()
		if err != nil {
			return err
		}
		if op == opEOF {
			return f.end()
		}
		if err := f.part(op); err != nil {
			return err
		}
	}
}

// part reads what follows one opcode or value type.
func (f *fileReader) part(op byte) error {
	switch op {
	case typeString:
		return f.entry(op)
	case typeHash, typeHashListpack, typeHashZiplist,
		typeList, typeListZiplist, typeQuicklist, typeQuicklist2,
		typeSet, typeSetIntset, typeSetListpack,
		typeZSet, typeZSetText, typeZSetListpack, typeZSetZiplist:
		if f.opt.Packed != nil || f.info.Lockstep && f.opt.intoStore {
			return f.entry(op)
		}
		return f.otherType(op)
	case opExpireMs:
		at, err := f.uint64()
		f.item.ExpireAt = max(int64(at), 1)
		return err
	case opExpireSec:
		p, err := f.next(4)
		if err != nil {
			return err
		}
		secs := int32(uint32(p[0]) | uint32(p[1])<<8 | uint32(p[2])<<16 | uint32(p[3])<<24)
		f.item.ExpireAt = max(int64(secs)*1000, 1)
		return nil
	case opIdle:
		return f.idle()
	case opFreq:
		freq, err := f.byte()
		f.item.Access = store.Access{LastMillis: f.opt.NowMillis, Freq: freq}
		return err
	case opAux:
		return f.auxField()
	case opSelectDB:
		return f.selectDB()
	case opResizeDB: // a hint for the size of hash tables
		if _, err := f.plainLength(); err != nil {
			return err
		}
		_, err := f.plainLength()
		return err
	case opSlotInfo: // hints too: number of the slot, keys, keys that expire
		for range 3 {
			if _, err := f.plainLength(); err != nil {
				return err
			}
		}
		return nil
	case opKeyMeta:
		return f.unknown("opcode %d (metadata of a key, or an import of slots)", op)
	case opFunction2, opFunctionRC:
		return Unsupported("a function library")
	case opModuleAux:
		return Unsupported("data of a module")
	default:
		return f.otherType(op)
	}
}

// entry reads a key and its value.
func (f *fileReader) entry(t byte) (err error) {
	it := f.item
	f.item = store.Item{}
	if it.Key, err = f.key(); err != nil {
		return err
	}
	var m keyMeta
	if f.info.Lockstep {
		if m, err = f.meta(it.Key); err != nil {
			return err
		}
		it.Version, it.Raw, it.Access = m.version, m.raw, m.access
	}
	if err := f.value(t, &it, m.large); err != nil {
		return err
	}
	if m.raw && it.Collection != nil || m.large && it.Collection == nil {
		return Damaged("key %q has the flags of another type", it.Key)
	}
	if f.opt.DropExpired && it.ExpireAt != 0 && it.ExpireAt < f.opt.NowMillis {
		f.info.Expired++
		return nil
	}
	f.info.Keys++
	return f.fn(it)
}

// value reads the value of a key.
func (f *fileReader) value(t byte, it *store.Item, large bool) (err error) {
	switch t {
	case typeString:
		it.Value, err = f.string(&f.valBuf)
	case typeList, typeListZiplist, typeQuicklist, typeQuicklist2:
		it.Collection, err = f.list(t, it.Key, large)
	case typeZSet, typeZSetText, typeZSetListpack, typeZSetZiplist:
		it.Collection, err = f.zset(t, it.Key, large)
	case typeSet, typeSetIntset, typeSetListpack:
		it.Collection, err = f.set(t, it.Key, large)
	default:
		it.Collection, err = f.hash(t, it.Key, large)
	}
	return err
}

// meta takes what the file says about the next key beside its value.
func (f *fileReader) meta(key []byte) (keyMeta, error) {
	m, err := f.chunk.next()
	if err == nil && (m.version == 0 || m.version > f.info.Revision) {
		err = Damaged("key %q has version %d, the store %d", key, m.version, f.info.Revision)
	}
	return m, err
}

func (f *fileReader) idle() error {
	secs, err := f.plainLength()
	if err != nil || f.opt.NowMillis == 0 {
		return err
	}
	// Redis starts the frequency of a new key at 5.
	last := f.opt.NowMillis - int64(min(secs, 1<<40))*1000
	f.item.Access = store.Access{LastMillis: max(last, 0), Freq: 5}
	return nil
}

func (f *fileReader) selectDB() error {
	n, err := f.plainLength()
	if err == nil && n != 0 {
		err = Unsupported("database %d; there is only database 0", n)
	}
	return err
}

// auxField reads one AUX field and keeps what is not Lockstep's own.
func (f *fileReader) auxField() error {
	key, err := f.key()
	if err != nil {
		return err
	}
	switch string(key) {
	case auxFormat:
		return f.format()
	case auxRevision:
		n, err := f.auxNumber(auxRevision)
		f.info.Revision = n
		return err
	case auxVersions:
		return f.versions()
	}
	a := Aux{Key: string(key)}
	if a.Value, err = f.owned(); err != nil {
		return err
	}
	f.info.Aux = append(f.info.Aux, a)
	return nil
}

// format recognizes a file of Lockstep. The fields before it are those that
// Write puts there for Redis.
func (f *fileReader) format() error {
	n, err := f.auxNumber(auxFormat)
	if err != nil {
		return err
	}
	if n != formatVersion {
		return Unsupported("Lockstep snapshot format %d; known is %d", n, formatVersion)
	}
	if f.info.Lockstep || f.info.Keys+f.info.Expired > 0 {
		return Damaged("field %s is out of place", auxFormat)
	}
	f.info.Lockstep = true
	f.info.Aux = nil
	return nil
}

func (f *fileReader) versions() error {
	if !f.info.Lockstep {
		return Damaged("field %s is out of place", auxVersions)
	}
	if err := f.chunk.end(); err != nil {
		return err
	}
	p, err := f.string(&f.valBuf)
	if err != nil {
		return err
	}
	return f.chunk.reset(p)
}

func (f *fileReader) auxNumber(name string) (uint64, error) {
	p, err := f.string(&f.valBuf)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(p[:min(len(p), 32)]), 10, 64)
	if err != nil {
		return 0, Damaged("field %s is not a number", name)
	}
	return n, nil
}

// otherType names the key of a value that cannot be stored.
func (f *fileReader) otherType(t byte) error {
	if typeName(t) == "" {
		return f.unknown("unknown opcode or type %d", t)
	}
	key, err := f.key()
	if err != nil {
		return err
	}
	return Unsupported("key %q is %s (RDB type %d); that is not known", key[:min(len(key), 256)], typeName(t), t)
}

func (f *fileReader) end() error {
	if f.item.ExpireAt != 0 {
		return Damaged("an expiry time without a key")
	}
	if err := f.chunk.end(); err != nil {
		return err
	}
	if err := f.checksum(!f.info.Lockstep); err != nil {
		return err
	}
	atEnd, err := f.atEnd()
	if err == nil && !atEnd {
		err = Damaged("more bytes after the end")
	}
	return err
}
