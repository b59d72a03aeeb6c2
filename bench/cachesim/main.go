// Cachesim compares policies of eviction: what each of them hits of the same requests with the same memory. The requests are made up, after laws that
// those of the web are known to follow more or less.
//
//	go run ./bench/cachesim
//	go run ./bench/cachesim -traces web -sizes 1,10 -csv /tmp/hits.csv
//
// Ours is the store of the gateway itself (internal/cache/memory), which pays for its index out of the same memory. The others pay for none.
package main

import (
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// ratio is what a policy hit of a trace.
type ratio struct{ objects, bytes float64 }

func run(args []string, out io.Writer) error {
	f := flag.NewFlagSet("cachesim", flag.ContinueOnError)
	f.SetOutput(out)
	objects := f.Int("objects", 100_000, "different objects of a trace, without those that are asked for once")
	requests := f.Int("requests", 1_000_000, "requests of a trace; the first fifth is not counted")
	seed := f.Uint64("seed", 2, "of all that is drawn; policies were tuned with 1")
	only := f.String("traces", "", "begin of the names of the traces; all without")
	which := f.String("policies", "", "names of policies; all without")
	sizes := f.String("sizes", "0.1,1,5,10,25", "memory, in percent of all objects' bytes")
	file := f.String("csv", "", "write the table to this file, too")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *objects < 100 || *requests < 100 || f.NArg() > 0 {
		return fmt.Errorf("at least 100 objects and requests are needed, and no arguments")
	}
	chosen := names()
	if *which != "" {
		wanted := strings.Split(*which, ",")
		for _, name := range wanted {
			if !slices.Contains(chosen, name) {
				return fmt.Errorf("there is no policy %q: there are %s", name, strings.Join(chosen, ", "))
			}
		}
		chosen = slices.DeleteFunc(chosen, func(name string) bool { return !slices.Contains(wanted, name) })
	}
	rows := [][]string{append([]string{"trace", "memory", "of"}, chosen...)}
	for _, t := range traces {
		if !strings.HasPrefix(t.name, *only) {
			continue
		}
		made := t.make(*seed, *objects, *requests)
		for _, percent := range strings.Split(*sizes, ",") {
			share, err := strconv.ParseFloat(percent, 64)
			if err != nil || share <= 0 {
				return fmt.Errorf("cannot read the size %q: a percentage above 0 is needed", percent)
			}
			rows = append(rows, compare(chosen, t.name, percent, made, int64(float64(made.total)*share/100))...)
		}
	}
	if len(rows) == 1 {
		return fmt.Errorf("no trace begins with %q", *only)
	}
	if *file != "" {
		if err := write(*file, rows); err != nil {
			return err
		}
	}
	return table(out, rows)
}

// compare tries all policies.
func compare(chosen []string, name, percent string, t *trace, capacity int64) [][]string {
	objects, bytes := []string{name, percent + "%", "objects"}, []string{name, percent + "%", "bytes"}
	for _, p := range policies {
		if !slices.Contains(chosen, p.name) {
			continue
		}
		r := replay(t, p.make(capacity, t))
		objects = append(objects, fmt.Sprintf("%.1f", 100*r.objects))
		bytes = append(bytes, fmt.Sprintf("%.1f", 100*r.bytes))
	}
	if t.equal {
		return [][]string{objects}
	}
	return [][]string{objects, bytes}
}

// replay asks a policy for all of a trace.
func replay(t *trace, p policy) ratio {
	var hits, all, hitBytes, allBytes float64
	warm := len(t.requests) / 5
	for i, key := range t.requests {
		size := t.sizes[key]
		hit := p.ask(key, size)
		if i < warm {
			continue
		}
		all, allBytes = all+1, allBytes+float64(size)
		if hit {
			hits, hitBytes = hits+1, hitBytes+float64(size)
		}
	}
	return ratio{hits / all, hitBytes / allBytes}
}

func table(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t")+"\t")
	}
	return w.Flush()
}

func write(name string, rows [][]string) error {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("cannot write the table: %w", err)
	}
	defer file.Close()
	if err := csv.NewWriter(file).WriteAll(rows); err != nil {
		return fmt.Errorf("cannot write the table: %w", err)
	}
	return file.Close()
}
