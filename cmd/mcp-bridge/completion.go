package main

import (
	"errors"
	"slices"

	"mcp-bridge/bridge"

	"github.com/spf13/cobra"
)

// completionCommand returns the command that prints a shell's completion script. It takes the
// place of cobra's own, which answers the name of an unknown shell with success and help.
func completionCommand() *cobra.Command {
	shells := []cobra.Completion{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script of bash, zsh, fish or powershell",
		Long: `Print the completion script for a shell: bash, zsh, fish or powershell. To load it, put

  bash:        source <(mcp-bridge completion bash)                into ~/.bashrc
  zsh:         source <(mcp-bridge completion zsh)                 into ~/.zshrc, after compinit
  fish:        mcp-bridge completion fish | source                 into ~/.config/fish/config.fish
  powershell:  mcp-bridge completion powershell | Out-String | Invoke-Expression  into $PROFILE`,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return errors.New("completion takes the name of a shell: bash, zsh, fish or powershell")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			default:
				return root.GenPowerShellCompletionWithDesc(out)
			}
		},
	}
}

// completeFlags lets the shell complete the values of the flags that have few. Values of others
// are file names, which the shell completes by itself, or nothing it could know.
func completeFlags(cmd *cobra.Command) {
	completeAuthFlags(cmd)
	for name, values := range map[string][]cobra.Completion{
		"transport":        {"auto", "http", "sse"},
		"era":              {"auto", "legacy", "modern"},
		"protocol-version": bridge.ProtocolVersions(),
		"log-level":        {"error", "warn", "info", "debug"},
		"header":           nil,
		"proxy":            nil,
		"connect-timeout":  nil,
		"response-timeout": nil,
		"max-message":      nil,
		"max-in-flight":    nil,
		"keep-alive":       nil,
		"allow-tool":       nil,
		"ignore-tool":      nil,
		"pin-tools":        {pinWarn, pinStrict},
	} {
		err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		if err != nil {
			panic(err) // there is no such flag: register and this table have drifted apart
		}
	}
}
