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

ok "all tools are completed" bash -c '. "$1" && complete -p rec-meta rec-migrate rec-health rec-capture' - "$TOP/completion/rectools.bash"

commands_of()
{
	"$1" -h | sed -n '/^usage:/,/^$/p' | sed -n 's/.*\[OPTION\.\.\.\] \([a-z]*\).*/\1/p' | sort | tr '\n' ' ' | sed 's/ *$//'
}
for tool in rec-meta rec-migrate rec-health rec-capture; do
	offers "the commands of $tool are those of its usage" "$(commands_of $tool)" $tool ""
done
offers "a command is completed" "probe" rec-meta pr
offers "a command is completed behind options with arguments" "rollback runs" rec-migrate -C /tmp -o json r
offers "the argument of an option is not taken for a command" "list" rec-meta --title add li

offers "the options of a command" "--purge" rec-meta rm --pu
offers "an option of another command is not offered" "" rec-meta list --pu
offers "an option with an argument ends in =" "--where=" rec-meta list --w
offers "common options are offered with every command" "--dry-run" rec-migrate rollback --d
for tool in rec-meta rec-migrate rec-health rec-capture rec-trim rec-sync; do
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

offers "the options of check" "--max-bytes= --max-time=" rec-health check --max
offers "they are those of the tool, without a command" "--max-bytes= --max-time=" rec-health --max
offers "of repair" "--undo" rec-health repair --u
offers "gc has no --only" "" rec-health gc --on
offers "what --fixity reads" "all none oldest= sample=" rec-health check --fixity ""
offers "what --fixity reads, right behind the =" "sample=" rec-health check --fixity = sa
offers "its argument is not taken for a command" "gc" rec-health --fixity all g
groups="completeness config database database-full disk fixity folders jobs retention"
offers "groups of checks" "$groups" rec-health check --only ""
offers "the next group, without those that stand there" "jobs,disk,database jobs,disk,database-full" rec-health --only = jobs,disk,da
offers "a group that stands there is not offered again" "" rec-health check --skip config,conf
offers "kinds of repair" "headers jobs moved orphans parts" rec-health repair --only ""
offers "the next kind" "headers,parts" rec-health repair --only headers,pa

# Every name that is offered is one: what ends it is the missing archive, not the list.
mkdir "$TMP/nothing"
run rec-health -C "$TMP/nothing" repair --only headers,jobs,moved,orphans,parts
status "every kind that is offered is one" 3
run rec-health -C "$TMP/nothing" -q check --only "${groups// /,}"
is "every group that is offered is one" "$st $(jq -r .check "$out" | tail -n 1)" "3 folders.database"
touch "$TMP/nothing/a.prom"
cd "$TMP/nothing" || exit 1
offers "files for --metrics" "a.prom" rec-health check --metrics ""
offers "files for --html" "a.prom" rec-health check --html = a
cd "$TMP" || exit 1
offers "what --max-time takes is not guessed" "" rec-health check --max-time ""

offers "the commands of rec-capture" "record recover" rec-capture rec
offers "the options of record" "--split-at= --split-silence --split-size= --split-time=" rec-capture record --spl
offers "recover has none of its own" "" rec-capture recover --spl
offers "formats of files" "flac ogg opus w64 wav" rec-capture -f ""
offers "formats of samples" "s24be s24le" rec-capture --raw = s24
offers "bits" "16 24 32 f32" rec-capture --bits = ""
offers "its argument is not taken for a command" "devices" rec-capture -d record dev
offers "standard input" "-" rec-capture --raw s16le record ""
cat >"$TMP/rec-capture" <<'END'
#!/bin/sh
[ "$*" = "devices -o json" ] || exit 3
echo '{"name":"hw:0,0","description":"One, two"}'
echo '{"name":"hw:1,0","description":null}'
END
chmod +x "$TMP/rec-capture"
offers "devices" "default hw:0,0 hw:1,0" "$TMP/rec-capture" -d ""
offers "devices of the long option" "hw:0,0 hw:1,0" "$TMP/rec-capture" record --device = h

# A rec-migrate that has runs of every kind.
mkdir "$TMP/fake"
ln -s "$BIN/rec-health" "$TMP/fake/rec-health"
cat >"$TMP/fake/rec-migrate" <<'END'
#!/bin/sh
[ "$*" = "-C /srv runs -o json" ] || exit 3
echo '{"run":"20260101T000000.000000Z-00000001","kind":"apply","state":"applied"}'
echo '{"run":"20260102T000000.000000Z-00000002","kind":"repair","state":"rolled_back"}'
echo '{"run":"20260103T000000.000000Z-00000003","kind":"repair","state":"applied"}'
echo '{"run":"20260104T000000.000000Z-00000004","kind":"repair","state":"interrupted"}'
END
chmod +x "$TMP/fake/rec-migrate"
repairs="20260103T000000.000000Z-00000003 20260104T000000.000000Z-00000004"
offers "the repairs that can be taken back" "$repairs" "$TMP/fake/rec-health" -C /srv repair --undo ""
offers "no run without --undo" "" "$TMP/fake/rec-health" -C /srv repair ""

# Every sort key that is offered is one.
keys=$(complete_words rec-meta list --sort "")
if root=$(archive 0002) || { "$TOP/tests/data/make-archive" "$TMP/made" && root=$TMP/made; }; then
	is "all keys are offered" "$(wc -w <<<"$keys" | tr -d ' ')" 35
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
