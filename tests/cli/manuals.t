#!/bin/bash
# The examples of the manuals work as they stand there.
#
# An example is a literal block of EXAMPLES. Its lines that start with "$ " are commands, lines that start with "> "
# go on with one; other blocks are not run. Each block has a fresh archive as its current folder (migrated before,
# but in the pages whose examples do so themselves); each command must end with 0 or 1 and leave no
# message of a shell behind.
. "$(dirname "$0")/../lib.sh"

for program in mandoc sox flac sqlite3 xxhsum; do
	command -v $program >/dev/null || plan_skip "$program is needed"
done

fresh()
{
	archive 0002 && return
	local dir

	dir=$(mktemp -d "$TMP/made.XXXXXX") && "$TOP/tests/data/make-archive" "$dir" && echo "$dir"
}
fresh >/dev/null || plan_skip "no archive can be had here"

# blocks PAGE: the commands of its EXAMPLES, a line each: "BLOCK<TAB>COMMAND", newlines of a command as \001
blocks()
{
	mandoc -Tascii -O width=1000 "$1" | col -bx | awk '
	/^[A-Z]/ { examples = $0 == "EXAMPLES"; next }
	!examples { next }
	{ line = $0; sub(/^ +/, "", line) }
	line ~ /^\$ / { if (!inside) block++; inside = 1; flush(); command = substr(line, 3); next }
	line ~ /^> / && command != "" { command = command "\001" substr(line, 3); next }
	line != "" || !inside { flush(); if (line != "") inside = 0 }
	function flush() { if (command != "") print block "\t" command; command = "" }
	END { flush() }'
}

run_page()
{
	local page=$1 migrate=$2 last='' block command root

	blocks "$TOP/man/$page" >"$TMP/blocks"
	ok "$page has examples" test -s "$TMP/blocks"
	while IFS=$'\t' read -r block command; do
		command=${command//$'\001'/$'\n'}
		if [ "$block" != "$last" ]; then
			root=$(fresh) && cd "$root" || exit 1
			mkdir new && sox -R -n -r 8000 -b 16 new/one.wav synth 0.5 sine 300 &&
			    sox -R -n -r 8000 -b 16 new/two.wav synth 0.5 sine 500
			echo text >new/three.wav
			if [ "$migrate" = migrated ]; then
				rec-migrate apply -q >/dev/null
			fi
			last=$block
		fi
		run bash -o pipefail -c "$command"
		ok "$page, block $block: ${command//$'\n'/ }" test "$st" -le 1
		ok "  … no usage and no shell complains" \
		    bash -c '! grep -E "^bash: |no such option|is no command|command not found|^jq: |parse error" "$1"' - "$errf"
	done <"$TMP/blocks"
	cd "$TMP" || exit 1
}

run_page rectools.7 fresh
run_page rec-migrate.1 fresh
run_page rec-meta.1 migrated
run_page rec-health.1 migrated
run_page rec-capture.1 migrated
run_page rec-sync.1 migrated
run_page rec-lines.5 migrated
run_page rec-archive.5 migrated

quiet_ok "the manuals agree with -h, and mandoc is content" "$TOP/scripts/check-manuals" "$BIN" "$TOP/man"
cp -r "$TOP/man" "$TMP/man"
sed -i '/^\.It Fl -purge$/d' "$TMP/man/rec-meta.1"
run "$TOP/scripts/check-manuals" "$BIN" "$TMP/man"
status "an option that is not in its manual is found" 1
stderr_has "and named" 'rec-meta: "--purge" is in -h and not in'
sed -i 's/^\.It Fl -all$/&\n.It Fl -every/' "$TMP/man/rec-meta.1"
run "$TOP/scripts/check-manuals" "$BIN" "$TMP/man"
stderr_has "an option that the tool does not have is found" '"--every" is in .* and not in -h'

done_testing
