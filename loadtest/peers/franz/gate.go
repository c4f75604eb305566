package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// entry is what the gate knows of a write key.
type entry struct {
	account string
	verdict string
}

// gate is a plain map: the cheapest look-up there is, since it never changes; flips would need a lock or a copy.
type gate map[string]entry

// loadGate reads a file of write keys, each line: key account verdict.
func loadGate(path string) (gate, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	loaded := gate{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 3 {
			return nil, fmt.Errorf("%s: not a key, an account and a verdict: %q", path, lines.Text())
		}
		loaded[words[0]] = entry{account: words[1], verdict: words[2]}
	}
	return loaded, lines.Err()
}
