package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mcp-bridge/bridge"

	"github.com/spf13/cobra"
)

// pinsCommand returns the command that shows what --pin-tools has found, and accepts it.
func pinsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pins URL",
		Short: "Show which tools are not as they were pinned",
		Long: `Show which of the tools of the server at URL are not as --pin-tools remembers them. The exit code is 1 if
there are any. 'mcp-bridge pins accept URL' takes them as they are now; hosts that run have to start
mcp-bridge anew for that.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeName,

		SuggestionsMinimumDistance: 2,
	}
	var show options
	pinsRun(cmd, &show, comparePins)
	var accept options
	acceptCmd := &cobra.Command{
		Use:               "accept URL",
		Short:             "Pin the tools as they are now",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeName,
	}
	pinsRun(acceptCmd, &accept, acceptPins)
	cmd.AddCommand(acceptCmd)
	return cmd
}

// pinsRun makes a command compare what is pinned with what the server has now.
func pinsRun(cmd *cobra.Command, o *options, act func(cmd *cobra.Command, file *pinFile, now bridge.PinnedTools) error) {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.complete(cmd, args); err != nil {
			return err
		}
		file, err := o.pinFile()
		if err != nil {
			return err
		}
		now, err := currentTools(cmd, o)
		if err != nil {
			return err
		}
		return act(cmd, file, now)
	}
	o.register(cmd.Flags())
	completeFlags(cmd)
	shareUsage(cmd)
}

// currentTools asks the server for all its tools, whatever the host would get of them.
func currentTools(cmd *cobra.Command, o *options) (bridge.PinnedTools, error) {
	o.policy = policyOptions{}
	log, flush := newLogger(o, cmd.ErrOrStderr())
	defer flush()
	now := make(bridge.PinnedTools)
	err := withServer(cmd.Context(), o, log, func(h *innerHost) error {
		if _, err := h.initialize(); err != nil {
			return err
		}
		tools, err := h.list("tools/list", "tools")
		for _, definition := range tools {
			var tool struct{ Name *string }
			if json.Unmarshal(definition, &tool) == nil && tool.Name != nil {
				now[*tool.Name] = bridge.PinTool(definition)
			}
		}
		return err
	})
	return now, err
}

func comparePins(cmd *cobra.Command, file *pinFile, now bridge.PinnedTools) error {
	before, err := file.Load()
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if before == nil {
		fmt.Fprintf(out, "no tools of %s are pinned; --pin-tools does that, and so does 'mcp-bridge pins accept'\n", file.server)
		return nil
	}
	all := maps.Clone(before)
	maps.Copy(all, now)
	differ := 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, pinned := before[name]
		is, there := now[name]
		switch changed := was.Changed(is); {
		case !pinned:
			fmt.Fprintf(out, "new      %s\n", oneLine(name))
		case !there:
			fmt.Fprintf(out, "gone     %s\n", oneLine(name))
			continue // harms nobody
		case len(changed) > 0:
			fmt.Fprintf(out, "changed  %s: %s\n", oneLine(name), oneLine(strings.Join(changed, ", ")))
		default:
			continue
		}
		differ++
	}
	fmt.Fprintf(out, "%d tools are pinned in %s, %d are new or changed\n", len(before), file.path, differ)
	if differ > 0 {
		return errors.New("the server's tools are not as they were pinned; if that is right, run the same command as 'mcp-bridge pins accept'")
	}
	return nil
}

func acceptPins(cmd *cobra.Command, file *pinFile, now bridge.PinnedTools) error {
	if err := file.Save(now); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d tools of %s are pinned\n", len(now), file.server)
	return nil
}
