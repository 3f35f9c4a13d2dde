#!/bin/bash
# More than 4 GiB in one recording: as one file it becomes RF64, and everything reads all of it; in parts of a GiB
# the parts joined are what was fed. Only in the long proof: it writes 10 GB.
. "$(dirname "$0")/fault.sh"
. "$TOP/tests/fault/capture-cases.sh"
need jq sqlite3 soxi ffprobe sndfile-info python3 openssl sha256sum
full || plan_skip "REC_FAULT=full is not set: it writes 10 GB"
[ -z "$wrap" ] || plan_skip "too slow under a wrapper"

rate=96000
frame=8 # bytes: stereo of 32 bits
size=$((4600 * 1024 * 1024))
D=$(mktemp -d /var/tmp/rectools-large.XXXXXX) || exit 1
trap 'rm -rf "$D"; _finish' EXIT
[ "$(df -k --output=avail "$D" | tail -n 1)" -gt $((10 * 1024 * 1024)) ] || plan_skip "less than 10 GiB free in /var/tmp"

feed()
{
	noise 9 $size
}

# piece FROM BYTES: of the feed
piece()
{
	feed 2>/dev/null | tail -c +$(($1 + 1)) 2>/dev/null | head -c "$2"
}

# data_at FILE: where its samples begin; the data chunk is within the first pages
data_at()
{
	python3 -c 'import sys
d = open(sys.argv[1], "rb").read(65536)
print(d.find(b"data") + 8)' "$1"
}

make_archive "$D/archive" 0002
printf '%s\n' REC_TEMP_PATH=recordings/temp REC_BACKUP_PATH=recordings/backup RECORDINGS_MAX_SIZE_MB=16384 >>"$D/archive/.env"
run rec-migrate -C "$D/archive" -q apply
before=$(manifest "$D/archive/recordings/raw")

# capture OPTION...
capture()
{
	# shellcheck disable=SC2016 # expanded by the bash that is started
	run bash -c 'head -c "$1" /dev/zero | openssl enc -aes-128-ctr -nosalt -K "$(printf %032x 9)" -iv "$(printf %032x 0)" |
	    { shift; timeout -k 5 600 "$@"; }' - $size \
	    rec-capture -C "$D/archive" -q --events --raw s32le -r $rate -c 2 -f wav "$@" -
}

frames=$((size / frame))
wanted=$(feed | sha256sum)
capture
status "one file: status" 0
jq_is "one file: RF64" '[.container, .frames, .problem] | tojson' "[\"rf64\",$frames,null]"
file=$D/archive/$(jq -r .path "$out")
is "it begins with RF64" "$(head -c 4 "$file")" RF64
is "soxi" "$(soxi -s "$file")" $frames
is "ffprobe" "$(ffprobe -v error -show_entries stream=duration_ts -of csv=p=0 "$file")" $frames
ok "libsndfile" grep -q "^Frames *: $frames\$" <(sndfile-info "$file")
at=$(data_at "$file")
for where in 0 $((size / 2)) $((4294967296 - 4096)) $((size - 65536)); do
	ok "64 KiB from byte $where" cmp <(tail -c +$((at + where + 1)) "$file" | head -c 65536) <(piece "$where" 65536)
done
is "every byte" "$(tail -c +$((at + 1)) "$file" | head -c $size | sha256sum)" "$wanted"
is "nothing is left in temp" "$(ls -A "$D/archive/recordings/temp")" ""
rm -f "$file"

capture --split-size 1G
status "parts of 1 GiB: status" 0
is "parts: none larger, none with a problem" "$(jq -c 'select(.size_bytes > 1073741824 or .problem)' "$out")" ""
is "parts: five" "$(jq -s length "$out")" 5
is "parts: WAV" "$(jq -r .container "$out" | sort -u)" wav
is "parts: their frames" "$(jq -s 'map(.frames) | add' "$out")" $frames
is "parts: five names" "$(jq -r .path "$out" | sort -u | wc -l)" 5
is "parts: soxi" "$(while read -r p; do soxi -s "$D/archive/$p"; done < <(jq -r .path "$out") | awk '{ n += $1 } END { printf "%d", n }')" $frames
is "joined, every byte" "$(while read -r p n; do
	tail -c +$(($(data_at "$D/archive/$p") + 1)) "$D/archive/$p" | head -c $((n * frame))
done < <(jq -r '"\(.path) \(.frames)"' "$out") | sha256sum)" "$wanted"
while read -r p; do
	rm -f "$D/archive/$p"
done < <(jq -r .path "$out")
is "the files that were there are as they were" "$(manifest "$D/archive/recordings/raw")" "$before"
done_testing
