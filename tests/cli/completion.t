#!/bin/bash
# The bash completion knows the commands, their options and their values.
. "$(dirname "$0")/../lib.sh"

. "$TOP/completion/rectools.bash"

# complete_words WORD...: what is offered for the last one, in a sorted line
complete_words()
{
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	_rectools 2>"$TMP/stderr"
	printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' ' | sed 's/ *$//'
}

# offers NAME WANTED WORD...
offers()
{
	local name=$1 wanted=$2

	shift 2
	is "$name" "$(complete_words "$@")" "$wanted"
}

ok "both tools are completed" bash -c '. "$1" && complete -p rec-meta rec-migrate' - "$TOP/completion/rectools.bash"

commands_of()
{
	"$1" -h | sed -n '/^usage:/,/^$/p' | sed -n 's/.*\[OPTION\.\.\.\] \([a-z]*\).*/\1/p' | sort | tr '\n' ' ' | sed 's/ *$//'
}
for tool in rec-meta rec-migrate; do
	offers "the commands of $tool are those of its usage" "$(commands_of $tool)" $tool ""
done
offers "a command is completed" "probe" rec-meta pr
offers "a command is completed behind options with arguments" "rollback runs" rec-migrate -C /tmp -o json r
offers "the argument of an option is not taken for a command" "list" rec-meta --title add li

offers "the options of a command" "--purge" rec-meta rm --pu
offers "an option of another command is not offered" "" rec-meta list --pu
offers "an option with an argument ends in =" "--where=" rec-meta list --w
offers "common options are offered with every command" "--dry-run" rec-migrate rollback --d
for tool in rec-meta rec-migrate; do
	offers "every option of $tool is offered before the command" \
	    "$("$tool" -h | grep -o -E '^ +(-., )?--[a-z-]+=?' | grep -o -e '--.*' | sort | tr '\n' ' ' | sed 's/ *$//')" \
	    "$tool" --
done

offers "formats" "json path path0 table" rec-meta list -o ""
offers "formats of the long option, as readline cuts it" "path path0" rec-meta list --output = pa
offers "formats right behind the =" "json path path0 table" rec-meta list --output =
offers "environments" "development production testing" rec-meta -E ""
offers "when progress is drawn" "always auto never" rec-meta --progress = ""
offers "a sort key" "duration_s" rec-meta list --sort dur
offers "a sort key the other way round" "-loudness_lufs -loudness_range_lu" rec-meta list --sort -loud
offers "the next sort key" "-duration_s,title" rec-meta list --sort -duration_s,ti
offers "what can be set" "status= tags. tags= title=" rec-meta set 7 ""
offers "a status" "archived" rec-meta set 7 status = ar

# Every sort key that is offered is one.
keys=$(complete_words rec-meta list --sort "")
if root=$(archive 0002) || { "$TOP/tests/data/make-archive" "$TMP/made" && root=$TMP/made; }; then
	is "all keys are offered" "$(wc -w <<<"$keys" | tr -d ' ')" 34
	quiet_ok "every key that is offered sorts" rec-meta -C "$root" list --limit 0 --sort "${keys// /,}"
	offers "no runs, nothing to roll back" "" rec-migrate -C "$root" rollback ""
	rec-meta -C "$root" set 1 title=One >/dev/null
	rec-meta -C "$root" set 1 title=Two >/dev/null
	runs=$(rec-migrate -C "$root" runs | jq -r .run | tr '\n' ' ' | sed 's/ *$//')
	offers "the runs of the archive" "$runs" rec-migrate -C "$root" rollback ""
	offers "the runs of the archive, as readline cuts the option" "$runs" rec-migrate --root = "$root" rollback ""
	rec-migrate -C "$root" -q rollback >/dev/null
	offers "not those that are rolled back" "${runs%% *}" rec-migrate -C "$root" rollback ""
else
	skip "runs and keys" "no archive can be had here"
fi

mkdir "$TMP/files" && cd "$TMP/files" && touch "a b.wav" c.wav
offers "files" "a b.wav c.wav" rec-meta probe ""
cd "$TMP" || exit 1

done_testing
