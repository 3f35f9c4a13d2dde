#!/bin/bash
# A long recording from a device while both cores are busy: every frame is there and none was lost, and memory does
# not grow with the time. By default 40 seconds of sound, in the long proof an hour, and ten minutes in real time.
#
# What a card holds while nobody reads is its buffer; that of the test device is 64 KiB, 341 ms of 48 kHz stereo, as
# is usual with cards. At speed S it is 341 / S ms, and where others compete for the core a thread waits some turns
# of the scheduler, of 3 to 4 ms each. 60 would leave 5.7 ms, and prove something about the scheduler; at 16 (21 ms)
# one overrun in a minute was seen, and told; at 8 none. 4 leaves 85 ms, a card with a buffer of 4096 frames.
. "$(dirname "$0")/fault.sh"
. "$TOP/tests/fault/capture-cases.sh"
need jq sqlite3 openssl
[ -z "$wrap" ] || plan_skip "time and memory would be those of the wrapper"
[ -x /usr/bin/time ] || plan_skip "no /usr/bin/time here"
plugin=${BIN%/*}/test/libasound_module_pcm_rectest.so
[ -r "$plugin" ] && [ -r /usr/share/alsa/alsa.conf ] || plan_skip "no ALSA here, or the test device is not built"

rate=48000
speed=4
long=40
full && long=3600
# An hour is 691 MB, twice: on a disk rather than in memory.
D=$(mktemp -d /var/tmp/rectools-load.XXXXXX) || exit 1
busy=()
trap '[ ${#busy[@]} = 0 ] || kill "${busy[@]}" 2>/dev/null; rm -rf "$D"; _finish' EXIT
free=$(df -k --output=avail "$D" | tail -n 1)
[ "$free" -gt $((long * rate * 4 / 1024 * 3)) ] || plan_skip "too little space in /var/tmp"
# More than is recorded: the device goes on while the recording is measured.
noise 5 $(((long + long / 10 + 2) * rate * 4)) >"$D/feed.raw"
cat >"$D/asound.conf" <<-END
	</usr/share/alsa/alsa.conf>
	pcm_type.rectest { lib "$plugin" }
	pcm.fast { type rectest file "$D/feed.raw" rate $rate channels 2 format S16_LE speed $speed }
	pcm.real { type rectest file "$D/feed.raw" rate $rate channels 2 format S16_LE speed 1 }
END
export ALSA_CONFIG_PATH=$D/asound.conf
make_archive "$D/archive" 0002
printf "%s\n" REC_TEMP_PATH=recordings/temp RECORDINGS_MAX_SIZE_MB=2000 >>"$D/archive/.env"

for ((i = 0; i < $(nproc); i++)); do
	(while :; do :; done) &
	busy+=($!)
done

# record WHAT DEVICE SECONDS OPTION...: sets $peak, in KiB. Memory is what it is when the recording has been made.
record()
{
	local what=$1 device=$2 seconds=$3 file

	shift 3
	run timeout -k 5 $((seconds / speed * ${real:-1} + 30)) /usr/bin/time -f 'peak %M' \
	    rec-capture -C "$D/archive" -q --events -d "$device" -r $rate -c 2 -t "$seconds" "$@"
	peak=$(sed -n 's/^peak //p' "$errf")
	status "$what: status" 0
	is "$what: no overrun" "$(grep -c '"overrun"' "$errf")" 0
	jq_is "$what: every frame" '[.frames, .problem] | tojson' "[$((seconds * rate)),null]"
	file=$D/archive/$(jq -r .path "$out")
	ok "$what: and every bit" cmp <(sox -D "$file" -t raw -L -e signed -b 16 -) <(head -c $((seconds * rate * 4)) "$D/feed.raw")
	echo "# $what: peak $peak KiB"
	rm -f "$file"
}

# constant WHAT SHORT LONG: in KiB
constant()
{
	ok "$1: ten times as long takes as much memory ($2 and $3 KiB)" test $(($3 - $2)) -le 8192
}

# lengths FORMAT SECONDS: a tenth, and all
lengths()
{
	local short

	record "$1, $(($2 / 10)) s at $speed times the speed of time" fast $(($2 / 10)) -f "$1"
	short=$peak
	record "$1, $2 s" fast "$2" -f "$1"
	constant "$1" "$short" "$peak"
}

lengths wav $long
! full || lengths flac 400
if full; then
	real=$speed
	record "ten minutes in real time" real 600
else
	skip "ten minutes in real time, an hour" "REC_FAULT=full is not set"
fi
done_testing
