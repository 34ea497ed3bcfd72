package rdb

// The RDB format as far as Lockstep uses it. A file is
//
//	"REDIS" version:4 decimal digits | "VALKEY" version:3 decimal digits
//	( opcode ... | value-type key value )*
//	EOF-opcode crc64:8 bytes, little endian (0: not computed; absent before version 5)
const (
	magic          = "REDIS"
	magicValkey    = "VALKEY" // since Valkey 9, version 80
	headerLen      = len(magic) + 4
	versionWritten = 10 // what redis-server 7.0 writes and the oldest one that all of 7.x reads
	versionKnown   = 11 // redis-server 7.2: what is unknown up to here is damage, later it is new
	versionCRC     = 5  // the first version that ends with a checksum
)

// Opcodes: bytes in place of a value type.
const (
	opKeyMeta    = 243 // Redis: metadata of a key; Valkey: an import of slots
	opSlotInfo   = 244 // sizes of a slot, in cluster mode
	opFunction2  = 245
	opFunctionRC = 246 // only release candidates of 7.0 wrote it
	opModuleAux  = 247
	opIdle       = 248
	opFreq       = 249
	opAux        = 250
	opResizeDB   = 251
	opExpireMs   = 252
	opExpireSec  = 253
	opSelectDB   = 254
	opEOF        = 255
)

// Value types that Lockstep stores.
const (
	typeString       = 0
	typeList         = 1  // number of elements, and each; up to Redis 3.0
	typeHash         = 4  // number of fields, and as many times a name and a value
	typeHashZiplist  = 13 // one string: a ziplist of names and values; up to Redis 6.2
	typeListZiplist  = 10 // one string: a ziplist; up to Redis 3.0
	typeQuicklist    = 14 // number of ziplists, and each; up to Redis 6.2
	typeQuicklist2   = 18 // number of nodes, and each with its kind: an element or a listpack; since Redis 7.0
	typeHashListpack = 16 // one string: a listpack of names and values; since Redis 7.0
)

// Length encoding: the two highest bits of the first byte.
const (
	len6   = 0 // the other six bits are the length
	len14  = 1 // six bits and the next byte
	lenBig = 2 // 0x80: four bytes follow, 0x81: eight bytes, big endian
	lenEnc = 3 // the six bits tell how a string is encoded

	len32Byte = 0x80
	len64Byte = 0x81
)

// Special encodings of strings.
const (
	encInt8  = 0
	encInt16 = 1
	encInt32 = 2
	encLZF   = 3
)

// typeName names a value type for error messages; "" if it is not known.
func typeName(t byte) string {
	switch t {
	case 1, 10, 14, 18:
		return "a list"
	case 2, 11, 20:
		return "a set"
	case 3, 5, 12, 17:
		return "a sorted set"
	case 4, 9, 13, 16:
		return "a hash"
	case 22, 23, 24, 25: // of Redis 7.4 and later, 22 also of Valkey 9
		return "a hash whose fields may expire"
	case 6, 7:
		return "a module value"
	case 15, 19, 21, 26, 27:
		return "a stream"
	case 28:
		return "an array"
	}
	return ""
}
