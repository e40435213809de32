// Command postern issues, enforces, explains and revokes CloudFront-compatible signed URLs and
// cookies, in front of private S3 content. One program is the command line and, with `postern up`,
// every server role. main builds a [cli.Env] from the process and calls [Run]; nothing below reads the
// process's own arguments, environment, clock or working folder, so that a test can drive all of it.
package main

import (
	"context"
	"fmt"
	"os"
	_ "time/tzdata" // zone names in --expires-at, also where no time zones are installed

	"postern/internal/cli"
)

func main() {
	dir, err := os.Getwd()
	if err != nil {
		fmt.Fprintf(os.Stderr, "postern: error: finding the working folder: %v\n", err)
		os.Exit(cli.ExitFailed)
	}
	os.Exit(Run(context.Background(), cli.Env{
		Program: os.Args[0],
		Args:    os.Args[1:],
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Getenv:  os.Getenv,
		Now:     clock(os.Getenv),
		Dir:     dir,
	}))
}
