package auth

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"github.com/pkg/browser"
)

// OpenBrowser shows a page in the user's browser: the one that $BROWSER names, else the system's.
func OpenBrowser(page string) error {
	if command := os.Getenv("BROWSER"); command != "" {
		return OpenWith(command)(page)
	}
	page, err := pageURL(page)
	if err != nil {
		return err
	}
	// What the opener says must not reach standard output, which belongs to the protocol:
	// https://github.com/int128/kubelogin/blob/master/pkg/infrastructure/browser/browser.go
	browser.Stdout = os.Stderr
	return browser.OpenURL(page)
}

// OpenWith returns a function that shows a page with a command: the page takes the place of %s, or
// comes last. As in $BROWSER, several commands may be given, separated by colons; the first that
// works is used. No shell is involved (spec 4.48).
func OpenWith(commands string) func(page string) error {
	return func(page string) error {
		page, err := pageURL(page)
		if err != nil {
			return err
		}
		err = fmt.Errorf("no command to open a browser in %q", commands)
		for command := range strings.SplitSeq(commands, string(os.PathListSeparator)) {
			args := strings.Fields(command)
			if _, statErr := os.Stat(command); statErr == nil {
				args = []string{command} // a path may hold spaces
			}
			if len(args) == 0 {
				continue
			}
			placed := false
			for i, arg := range args[1:] {
				if strings.Contains(arg, "%s") {
					args[i+1], placed = strings.ReplaceAll(arg, "%s", page), true
				}
			}
			if !placed {
				args = append(args, page)
			}
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
			if err = cmd.Run(); err == nil {
				return nil
			}
		}
		return err
	}
}

// pageURL lets only what can be a page through, spelled anew: the URL comes from a server (spec
// 4.47).
func pageURL(page string) (string, error) {
	u, err := url.Parse(page)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", fmt.Errorf("only http and https pages are opened")
	}
	return u.String(), nil
}
