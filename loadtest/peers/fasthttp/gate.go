package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// An account and the verdict on its hits.
type entry struct {
	account string
	verdict string
}

// The gate: write key -> entry, read once and never changed.
type gate map[string]entry

// loadGate reads the table that the nginx peer reads too: a line holds key, account and verdict.
func loadGate(path string) (gate, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	known := gate{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: expected key, account and verdict, got %q", path, lines.Text())
		}
		known[fields[0]] = entry{fields[1], fields[2]}
	}
	return known, lines.Err()
}

// pass finds whose hit /p/KEY.gif is, and tells whether it is kept.
func (known gate) pass(path []byte) (entry, bool) {
	const before, after = len("/p/"), len(".gif")
	if len(path) <= before+after {
		return entry{}, false
	}
	found, ok := known[string(path[before:len(path)-after])] // the compiler copies no key for a look-up
	return found, ok && found.verdict != "DROP"
}
