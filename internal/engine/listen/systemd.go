package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Inherited is a listening socket that the process was started with.
type Inherited struct {
	Name string // what systemd calls it
	File *os.File

	number int // as the process was given it; 0: not known
}

// firstInherited is the number of the first file that systemd hands over (sd_listen_fds(3)).
const firstInherited = 3

// InheritedSockets returns the sockets that systemd started the process with. Lookup gives environment variables, as os.LookupEnv
// does.
func InheritedSockets(lookup func(string) (string, bool)) ([]Inherited, error) {
	names, err := inheritedNames(lookup, os.Getpid())
	if err != nil {
		return nil, err
	}
	sockets := make([]Inherited, len(names))
	for i, name := range names {
		keepFromChildren(firstInherited + i)
		sockets[i] = Inherited{name, os.NewFile(uintptr(firstInherited+i), name), firstInherited + i}
	}
	return sockets, nil
}

// inheritedNames reads how many sockets there are, and their names, from the environment.
func inheritedNames(lookup func(string) (string, bool), pid int) ([]string, error) {
	count, there := lookup("LISTEN_FDS")
	if !there {
		return nil, nil
	}
	if forPID, there := lookup("LISTEN_PID"); !there || forPID != strconv.Itoa(pid) {
		return nil, nil // meant for another process, of which this one is a child
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > 1<<16 {
		return nil, fmt.Errorf("LISTEN_FDS is %q, which is not a number of sockets", count)
	}
	names := make([]string, n)
	given := []string{}
	if list, there := lookup("LISTEN_FDNAMES"); there && list != "" {
		given = strings.Split(list, ":")
	}
	for i := range names {
		names[i] = "unknown"
		if i < len(given) {
			names[i] = given[i]
		}
	}
	return names, nil
}

// inheritance finds sockets that the process was started with. The files stay open, so that a listener that was removed can come
// back.
type inheritance struct {
	once    sync.Once
	given   []Inherited // nil: those of the environment
	sockets []Inherited
	err     error
	numbers map[int]*os.File // by number, for those that are not systemd's
}

// listener returns the socket that "systemd:NAME" or "fd:3" means.
func (in *inheritance) listener(network, place string) (net.Listener, error) {
	in.once.Do(func() {
		in.numbers = map[int]*os.File{}
		if in.sockets = in.given; in.given == nil {
			in.sockets, in.err = InheritedSockets(os.LookupEnv)
		}
	})
	if in.err != nil {
		return nil, in.err
	}
	file, err := in.named(place)
	if network == "fd" {
		file, err = in.numbered(place)
	}
	if err != nil {
		return nil, err
	}
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("it is not a listening socket: %w", plain(err))
	}
	return l, nil
}

func (in *inheritance) named(name string) (*os.File, error) {
	var found []*os.File
	var names []string
	for _, s := range in.sockets {
		if s.Name == name {
			found = append(found, s.File)
		}
		names = append(names, s.Name)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fmt.Errorf("systemd gave %d sockets that name; give each its own socket unit, or write fd:%d, fd:%d, …", len(found), firstInherited, firstInherited+1)
	case len(names) == 0:
		return nil, errors.New("systemd gave the process no sockets")
	}
	slices.Sort(names)
	return nil, fmt.Errorf("systemd gave no socket of that name, but %s", strings.Join(slices.Compact(names), ", "))
}

func (in *inheritance) numbered(place string) (*os.File, error) {
	n, err := strconv.Atoi(place)
	if err != nil {
		return nil, err
	}
	for _, s := range in.sockets {
		if s.number == n {
			return s.File, nil
		}
	}
	if in.numbers[n] == nil {
		if err := takeOver(n); err != nil { // before it belongs to an os.File, which would close whatever it is
			return nil, fmt.Errorf("it is not a listening socket: %w", err)
		}
		in.numbers[n] = os.NewFile(uintptr(n), "fd:"+place)
	}
	return in.numbers[n], nil
}
