package memory

import (
	"unsafe"

	"cardea.dev/cardea/internal/stored"
)

// allocated is what the runtime takes for an allocation of n bytes: it has classes of sizes (runtime/sizeclasses.go), and pages for larger ones.
func allocated(n int64) int64 {
	switch {
	case n <= 0:
		return 0
	case n > 32<<10:
		return (n + page - 1) &^ (page - 1)
	case n <= 1024:
		return int64(small[(n+7)/8])
	}
	for _, c := range large {
		if n <= int64(c) {
			return int64(c)
		}
	}
	return 32 << 10
}

const page = 8 << 10

// large are the classes above 1024 bytes.
var large = [...]uint16{
	1152, 1280, 1408, 1536, 1792, 2048, 2304, 2688, 3072, 3200, 3456, 4096, 4864, 5376, 6144, 6528, 6784, 6912, 8192, 9472, 9728,
	10240, 10880, 12288, 13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264, 28672, 32768,
}

// small has the class of each size up to 1024, by eights.
var small = func() (table [129]uint16) {
	classes := [...]uint16{
		0, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416, 448, 480, 512, 576, 640, 704,
		768, 896, 1024,
	}
	at := 0
	for i := range table {
		if i*8 > int(classes[at]) {
			at++
		}
		table[i] = classes[at]
	}
	return table
}()

// footprint is how many bytes a response takes in memory.
func footprint(r *stored.Response) int64 {
	sum := allocated(int64(unsafe.Sizeof(*r))) + allocated(int64(len(r.Key)))
	if !part(r.URL, r.Key) {
		sum += allocated(int64(len(r.URL)))
	}
	sum += fields(&r.Header) + fields(&r.Trailer) + fields(&r.Vary) + texts(r.Tags)
	sum += allocated(24 * int64(cap(r.Varies)))
	for _, names := range r.Varies {
		sum += texts(names)
	}
	if b, ok := r.Body.(interface{ Memory() int64 }); ok {
		sum += b.Memory()
	}
	return sum
}

// part says whether a text lies within the memory of another.
func part(s, whole string) bool {
	if s == "" {
		return true
	}
	a, b := uintptr(unsafe.Pointer(unsafe.StringData(s))), uintptr(unsafe.Pointer(unsafe.StringData(whole)))
	return a >= b && a < b+uintptr(len(whole))
}

func texts(list []string) int64 {
	sum := allocated(16 * int64(cap(list)))
	for _, s := range list {
		sum += allocated(int64(len(s)))
	}
	return sum
}

// fields is what fields take beside the pointer to them: a text, where each name ends, and the values.
func fields(f *stored.Fields) int64 {
	n := int64(f.Len())
	if n == 0 {
		return 0
	}
	length := 0
	for i := range f.Len() {
		name, value := f.At(i)
		length += len(name) + len(value)
	}
	return allocated(64) + allocated(4*n) + allocated(16*n) + allocated(int64(length))
}
