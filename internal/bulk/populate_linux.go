package bulk

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// populate has the kernel provide the pages that lie within b, without changing
// what is in them. Kernels before 5.14 refuse; then each page faults when it is
// written.
func populate(b []byte) {
	page := uintptr(os.Getpagesize())
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	skip := int(-start & (page - 1))
	size := (len(b) - skip) &^ int(page-1)
	if skip >= len(b) || size <= 0 {
		return
	}
	_ = unix.Madvise(b[skip:skip+size], unix.MADV_POPULATE_WRITE)
}
