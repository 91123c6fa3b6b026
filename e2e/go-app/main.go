// Command go-app is a second implementation of docs/protocol.md, in another language and by its text alone: an App that
// shares no code with the first. It shows that the text is complete.
//
//	go-app vectors FOLDER                    checks the test vectors both ways
//	go-app app PROFILE CHAIN TO AMOUNT       asks a real Keeper for a wallet and a payment, prints what it got
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "go-app:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 2 && arguments[0] == "vectors":
		return checkVectors(arguments[1])
	case len(arguments) == 5 && arguments[0] == "app":
		played, err := play(arguments[1], arguments[2], arguments[3], arguments[4])
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(played)
	default:
		return fmt.Errorf("usage: go-app vectors FOLDER | go-app app PROFILE CHAIN TO AMOUNT")
	}
}
