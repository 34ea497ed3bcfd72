package fsm

import "encoding/binary"

// Split cuts an encoded entry into log entries of at most MaxEntryBytes and a
// little. id must differ between the entries of one term.
func Split(entry []byte, id uint64) [][]byte {
	if len(entry) <= MaxEntryBytes {
		return [][]byte{entry}
	}
	parts := make([][]byte, 0, len(entry)/MaxEntryBytes+1)
	for offset := 0; offset < len(entry); offset += MaxEntryBytes {
		chunk := entry[offset:min(offset+MaxEntryBytes, len(entry))]
		part := make([]byte, 0, len(chunk)+2+4*binary.MaxVarintLen64)
		part = append(part, FormatVersion, kindFragment)
		part = binary.AppendUvarint(part, id)
		part = binary.AppendUvarint(part, uint64(offset))
		part = binary.AppendUvarint(part, uint64(len(entry)))
		parts = append(parts, appendBytes(part, chunk))
	}
	return parts
}

// assembly collects the fragments of one entry. A leader writes the fragments
// of an entry one after the other, so a fragment that does not continue the
// last one starts afresh or belongs to an entry whose leader is gone; such
// leftovers are dropped and their batches sent again by the nodes that own them.
type assembly struct {
	term, id uint64
	total    uint64
	data     []byte
}

// add takes a fragment of the given term. It returns the whole entry when the
// fragment was the last one.
func (a *assembly) add(term uint64, data []byte) (entry []byte, err error) {
	if err := checkHeader(data, kindFragment); err != nil {
		return nil, err
	}
	d := decoder{rest: data[2:]}
	id, offset, total, chunk := d.uvarint(), d.uvarint(), d.uvarint(), d.bytes()
	if err := d.finish(); err != nil {
		return nil, err
	}
	if offset == 0 {
		*a = assembly{term: term, id: id, total: total}
	} else if a.term != term || a.id != id || a.total != total || uint64(len(a.data)) != offset {
		*a = assembly{}
		return nil, nil
	}
	a.data = append(a.data, chunk...)
	if uint64(len(a.data)) < a.total {
		return nil, nil
	}
	entry = a.data
	*a = assembly{}
	return entry, nil
}
