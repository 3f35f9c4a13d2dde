#!/bin/bash
# Recording from PulseAudio, as a desktop has it: what is played to a sink is, to the bit, in what rec-capture
# records from its monitor. A daemon of our own, with a sink that is no card.
. "$(dirname "$0")/../lib.sh"

for tool in pulseaudio paplay pactl sox jq sqlite3 python3 openssl; do
	command -v $tool >/dev/null || plan_skip "no $tool here"
done
[ "$(id -u)" = 0 ] || plan_skip "not root"
[ -z "$wrap" ] || plan_skip "the sound is played in real time"
[ -r /usr/share/alsa/alsa.conf ] && find /usr/lib -name libasound_module_pcm_pulse.so 2>/dev/null | grep -q . ||
    plan_skip "no ALSA here, or no plugin of PulseAudio for it (libasound2-plugins)"
run rec-capture devices
! grep -qi 'without ALSA' "$errf" || plan_skip "rec-capture was built without ALSA"

rate=48000
# A short path: that of a socket has 107 bytes at most.
D=$(mktemp -d /tmp/rec-pulse.XXXXXX) || exit 1
daemon=
trap '[ -z "$daemon" ] || kill $daemon 2>/dev/null; rm -rf "$D"; _finish' EXIT
export HOME=$D XDG_RUNTIME_DIR=$D PULSE_RUNTIME_PATH=$D/pulse PULSE_SERVER=unix:$D/pa.sock
unset DBUS_SESSION_BUS_ADDRESS DISPLAY
pulseaudio -n --daemonize=no --use-pid-file=no --exit-idle-time=-1 --disable-shm=yes \
    -L "module-native-protocol-unix auth-anonymous=1 socket=$D/pa.sock" \
    -L "module-null-sink sink_name=fake format=s32le rate=$rate channels=2" >pulse.log 2>&1 &
daemon=$!
disown $daemon
for ((i = 0; i < 100; i++)); do
	timeout 2 pactl info >/dev/null 2>&1 && break
	sleep 0.05
done
timeout 2 pactl info >/dev/null 2>&1 || plan_skip "PulseAudio does not start: $(tail -n 1 pulse.log)"
cat >asound.conf <<END
</usr/share/alsa/alsa.conf>
pcm.fake { type pulse server "unix:$D/pa.sock" device "fake.monitor" }
END
export ALSA_CONFIG_PATH=$TMP/asound.conf
"$TOP/tests/data/make-archive" archive >/dev/null
sqlite3 archive/db/app.db "DELETE FROM recordings"
rm -f archive/recordings/raw/*

# Three quarters of a second that is nowhere twice, of 16 and of 32 bits.
head -c $((rate * 3)) /dev/zero | openssl enc -aes-128-ctr -nosalt -K "$(printf %032x 7)" -iv "$(printf %032x 0)" >noise16
head -c $((rate * 6)) /dev/zero | openssl enc -aes-128-ctr -nosalt -K "$(printf %032x 8)" -iv "$(printf %032x 0)" >noise32

# play FORMAT FILE BYTES: after some silence, as what comes first falls into the time in which the recorder begins
play()
{
	{ head -c "$3" /dev/zero; cat "$2"; } >lead
	timeout -k 2 10 paplay --raw --rate=$rate --channels=2 --format="$1" --device=fake lead
}

# holds.py RECORDED PLAYED FRAME-BYTES: all of what was played is in the recording, from a whole frame on
cat >holds.py <<'PY'
import sys
recorded, played = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read()
at = recorded.find(played)
print(f"played {len(played)}, recorded {len(recorded)} bytes, at {at}, its beginning at {recorded.find(played[:512])}")
sys.exit(at < 0 or at % int(sys.argv[3]) != 0)
PY

# recorded BITS FILE: the samples of the last run's recording
recorded()
{
	sox -D "archive/$(jq -r .path "$out")" -t raw -L -e signed -b "$1" "$2"
}

# -t ends it; 16 bits go through the sink's 32.
(sleep 0.3; play s16le noise16 $((rate * 2))) &
player=$!
run timeout -k 2 20 rec-capture -C archive -q --events -d fake -r $rate -c 2 -b 16 -t 2.5
status "16 bits, -t: status" 0
wait $player
is "the player has played" "$?" 0
jq_is "16 bits, -t: exact to the frame" '[.codec, .frames, .problem] | join(" ")' "pcm_s16le $((5 * rate / 2)) "
recorded 16 got16
ok "16 bits, -t: what was played is there to the bit" python3 holds.py got16 noise16 4
is "16 bits, -t: no overrun" "$(grep -c '"overrun"' "$errf")" 0

# INT ends it; 32 bits.
env --default-signal=INT rec-capture -C archive -q --events -d fake -r $rate -c 2 -b 32 -f w64 -t 20 >int.out 2>int.err &
recorder=$!
for ((i = 0; i < 200; i++)); do
	grep -q '"start"' int.err && break
	sleep 0.02
done
play s32le noise32 $((rate * 4))
is "the player has played again" "$?" 0
sleep 0.3
kill -INT $recorder
timeout 10 tail -s 0.05 --pid=$recorder -f /dev/null || kill -KILL $recorder
{ wait $recorder; } 2>/dev/null
st=$?
cp int.out "$out"
cp int.err "$errf"
status "32 bits, INT: status" 0
jq_is "32 bits, INT: a recording without a problem" '[.codec, .problem] | join(" ")' "pcm_s32le "
recorded 32 got32
ok "32 bits, INT: what was played is there to the bit" python3 holds.py got32 noise32 8
is "32 bits, INT: events" "$(grep '^{' int.err | jq -r .event | grep -vxE 'level|clipping|digital_silence|sound' | paste -sd ' ')" "start part stop"
is "nothing is left in temp" "$(ls -A archive/recordings_dev/temp)" ""

# The daemon goes away while it records, and is away when it begins.
rec-capture -C archive -q --events -d fake -r $rate -c 2 -t 20 >gone.out 2>gone.err &
recorder=$!
for ((i = 0; i < 200; i++)); do
	grep -q '"start"' gone.err && break
	sleep 0.02
done
sleep 0.5
kill -KILL $daemon
daemon=
timeout 8 tail -s 0.05 --pid=$recorder -f /dev/null || kill -KILL $recorder
{ wait $recorder; } 2>/dev/null
st=$?
cp gone.out "$out"
cp gone.err "$errf"
status "the daemon dies: status 3" 3
is "the daemon dies: events" "$(grep '^{' gone.err | jq -r .event | grep -vxE 'level|clipping|digital_silence|sound' | paste -sd ' ')" "start lost part stop"
jq_is "the daemon dies: what came is a recording" '[.frames > 0, .problem] | tojson' '[true,null]'
run timeout -k 2 10 rec-capture -C archive -q -d fake -r $rate -c 2 -t 1
status "without a daemon: status 3" 3
done_testing
