// Package gate is the Go peers' gate: a plain map, the cheapest look-up there is, since it never changes. Flips would need a
// lock or a copy.
package gate

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// Entry is an account and the verdict on its hits.
type Entry struct {
	Account string
	Verdict string
}

// Table is write key -> entry.
type Table map[string]Entry

// Load reads the table that the nginx peer reads too: a line holds key, account and verdict.
func Load(path string) (Table, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	table := Table{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: expected key, account and verdict, got %q", path, lines.Text())
		}
		table[fields[0]] = Entry{fields[1], fields[2]}
	}
	return table, lines.Err()
}

// Pass finds the key of /p/KEY.gif and whose it is, and tells whether the hit is kept.
func (table Table) Pass(path []byte) (key []byte, found Entry, kept bool) {
	const before, after = len("/p/"), len(".gif")
	if len(path) <= before+after {
		return nil, Entry{}, false
	}
	key = path[before : len(path)-after]
	found, known := table[string(key)] // the compiler copies no key for a look-up
	return key, found, known && found.Verdict != "DROP"
}
