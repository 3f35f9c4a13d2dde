#!/bin/bash
# rec-capture under the faults of capture-cases.sh, those that scripts/compare-capture shows beside its peers: the
# recording is whole and valid, what happened is told as it shall be, and the archive is otherwise as it was.
. "$(dirname "$0")/fault.sh"
. "$TOP/tests/fault/capture-cases.sh"
need jq sqlite3 soxi
[ -z "$wrap" ] || plan_skip "the cases are measured in time"
why=$(mkdir why && cases_init "$TMP/why" "$TOP" "${BIN%/*}/test/libasound_module_pcm_rectest.so") || plan_skip "$why"
cases_init "$TMP" "$TOP" "${BIN%/*}/test/libasound_module_pcm_rectest.so"
trap 'for c in $CASES; do case_end "$TMP/$c"; done; _finish' EXIT

# old_rows ARCHIVE
old_rows()
{
	sqlite3 -init /dev/null "$1/db/app.db" "SELECT * FROM recordings WHERE id <= 9 ORDER BY id"
}

# old_files ARCHIVE: and what is in them; recordings/raw has a .part by its name alone
old_files()
{
	manifest "$1/recordings/" | grep -vE '/recording_2026|/recording_20[3-9]| \./temp$'
}

case_prepared()
{
	old_rows "$1/archive" >"$1/rows"
	old_files "$1/archive" >"$1/manifest"
}

# events DIR: in one line, but for what noise and a small disk are told of
events()
{
	grep '^{' "$1/err" | jq -r .event | grep -vxE 'level|clipping|disk_low' | paste -sd ' '
}

# valid NAME DIR FILE AT-LEAST PIECES: soxi, ffprobe and the decoder agree, and it holds so much of the feed; PIECES
# is a pattern
valid()
{
	local bytes soxi probed decoded known pieces

	read -r bytes soxi probed decoded known pieces < <("$TOP/tests/fault/judge-capture" "$CASE_FEED" "$3")
	is "$1: soxi, ffprobe and the decoder agree ($bytes bytes)" "$soxi $probed $decoded" "$decoded $decoded $decoded"
	is "$1: all is of the feed" "$known" "$decoded"
	ok "$1: $decoded frames, of at least $4" test "$decoded" -ge "$4"
	ok "$1: in one piece, or as many as there shall be ($pieces)" grep -qxE "$5" <<<"$pieces"
}

# judged CASE STATUS EVENTS RECORDS: what is the same for all; RECORDS is what each record says
judged()
{
	local dir=$TMP/$1 name

	name=$(title_of "$1")
	is "$name: status" "$(cat "$dir/status")" "$2"
	is "$name: events" "$(events "$dir")" "$3"
	is "$name: records" "$(jq -c '[.frames, .problem.code]' "$dir/out" | paste -sd ' ')" "$4"
	is "$name: as many files as records" "$(grep -c . "$dir/files")" "$(jq -s length "$dir/out")"
	is "$name: nothing is left in temp" "$(ls -A "$dir/archive/recordings/temp/")" ""
	unchanged "$name" "$dir"
}

unchanged()
{
	is "$1: the rows that were there are as they were" "$(old_rows "$2/archive")" "$(cat "$2/rows")"
	is "$1: and their files" "$(old_files "$2/archive")" "$(cat "$2/manifest")"
	is "$1: and the database is sound" "$(sqlite3 -init /dev/null "$2/archive/db/app.db" 'PRAGMA integrity_check')" ok
}

# have CASE: it could be done
have()
{
	[ -e "$TMP/$1/skipped" ] || return 0
	skip "$(title_of "$1")" "$(cat "$TMP/$1/skipped")"
	return 1
}

first()
{
	head -n 1 "$TMP/$1/files"
}

# recovered NAME DIR: recover makes recordings of all parts
recovered()
{
	local parts

	parts=$(find "$2/archive/recordings/temp/" -name '*.part' | wc -l)
	run rec-capture -C "$2/archive" -q recover
	status "$1: recover" 0
	is "$1: a record for each part, none with a problem" "$(jq -c .problem "$out" | sort | uniq -c | xargs)" "$parts null"
	is "$1: nothing is left in temp then" "$(ls -A "$2/archive/recordings/temp/")" ""
	unchanged "$1, recovered" "$2"
}

for c in $CASES; do
	case_run "$c" rec-capture "$TMP/$c" >/dev/null 2>&1 &
done
wait

second=$CASE_RATE
if have kill; then
	is "SIGKILL: status" "$(cat kill/status)" 137
	is "SIGKILL: events" "$(events kill)" start
	is "SIGKILL: no record" "$(wc -c <kill/out)" 0
	is "SIGKILL: one file, a part" "$(sed 's/.*\.//' kill/files)" part
	valid "SIGKILL, as it lies" kill "$(first kill)" $(($(cat kill/wanted) - second)) '0[+][0-9]+'
	unchanged "SIGKILL" kill
	recovered "SIGKILL" kill
	valid "SIGKILL, recovered" kill "kill/archive/$(jq -r .path "$out")" $(($(cat kill/wanted) - second)) '0[+][0-9]+'
fi
if have hup; then
	frames=$(jq .frames hup/out)
	judged hup 0 "start part stop" "[$frames,null]"
	valid "SIGHUP" hup "$(first hup)" $(($(cat hup/wanted) - second / 4)) '0[+][0-9]+'
fi
if have full; then
	frames=$(jq .frames full/out)
	judged full 3 "start no_space part stop" "[$frames,null]"
	# What is left of the room is less than a write.
	valid "disk full" full "$(first full)" $(($(cat full/wanted) - second / 4)) '0[+][0-9]+'
fi
if have inodes; then
	# In a tmpfs a link takes an inode, so that the parts cannot get their names before there is one.
	is "no inode left: status" "$(cat inodes/status)" 3
	is "no inode left: events" "$(events inodes)" "start part part no_space stop"
	while read -r file; do
		valid "no inode left, ${file##*_}" inodes "$file" $second "[0-9]+[+]$second"
	done <inodes/files
	is "no inode left: two files" "$(wc -l <inodes/files)" 2
	unchanged "no inode left" inodes
	mount -o remount,nr_inodes=1000 "$TMP/inodes/place"
	recovered "no inode left" inodes
fi
if have eio; then
	frames=$(jq .frames eio/out)
	# A disk that takes nothing more does not take the header either, and the record says so.
	judged eio 3 "start error part stop" "[$frames,\"header_mismatch\"]"
	valid "EIO" eio "$(first eio)" $((frames - second)) '0[+][0-9]+'
	ok "EIO: every frame that was written is counted" test "$frames" -ge $(($(cat eio/wanted) - 2400))
	ok "EIO: it is told" grep -qE '^rec-capture: .*Input/output error' eio/err
fi
if have lost; then
	judged lost 3 "start lost part stop" "[$CASE_LOST,null]"
	valid "device lost" lost "$(first lost)" $CASE_LOST "0[+]$CASE_LOST"
	is "device lost: where" "$(grep '^{' lost/err | jq 'select(.event == "lost") | .frame')" $CASE_LOST
fi
if have overrun; then
	judged overrun 0 "start overrun part stop" "[$((3 * second)),null]"
	valid "overrun" overrun "$(first overrun)" $((3 * second)) \
	    "0[+]$CASE_OVERRUN,$((CASE_OVERRUN + CASE_GAP))[+]$((3 * second - CASE_OVERRUN))"
	is "overrun: where" "$(grep '^{' overrun/err | jq 'select(.event == "overrun") | .frame')" $CASE_OVERRUN
	gap=$(grep '^{' overrun/err | jq 'select(.event == "overrun") | .frames')
	ok "overrun: $gap frames, of $CASE_GAP, to a tenth of a second" test $((gap - CASE_GAP)) -ge -4800 -a $((gap - CASE_GAP)) -le 4800
fi
if have stdin; then
	judged stdin 0 "start part stop" "[$((CASE_FED_BYTES / 4)),null]"
	valid "stdin ends early" stdin "$(first stdin)" $((CASE_FED_BYTES / 4)) '0[+][0-9]+'
fi
if have slow; then
	judged slow 0 "start part stop" "[$((5 * second)),null]"
	valid "disk stalls" slow "$(first slow)" $((5 * second)) '0[+][0-9]+'
	ok "disk stalls: it did" grep -q DELAYED slow/trace
fi
done_testing
