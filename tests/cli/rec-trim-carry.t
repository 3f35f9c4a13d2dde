#!/bin/bash
# rec-trim: what a file carries beside its audio, chunk by chunk, before and after: on files of field recorders, and on
# made ones that have everything at once.
. "$(dirname "$0")/../lib.sh"

for tool in jq python3 sox ffmpeg ffprobe flac metaflac; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

# chunks FILE: a line for each chunk of a RIFF, RF64 or AIFF file: its name, length, and the SHA-256 of its body
cat >chunks.py <<'P'
import hashlib, struct, sys
b = open(sys.argv[1], 'rb').read()
big = b[:4] in (b'FORM', b'RIFX')
p = 12
while p + 8 <= len(b):
    name, n = b[p:p + 4], struct.unpack('>I' if big else '<I', b[p + 4:p + 8])[0]
    if name == b'data' and b[:4] == b'RF64':
        n = struct.unpack('<Q', b[28:36])[0]
    body = b[p + 8:p + 8 + n]
    if len(sys.argv) > 2:
        if name.decode('latin-1') == sys.argv[2]:
            sys.stdout.buffer.write(body)
            break
    else:
        print(name.decode('latin-1'), n, hashlib.sha256(body).hexdigest())
    p += 8 + n + n % 2
P
chunks()
{
	python3 chunks.py "$1"
}
body()
{
	python3 chunks.py "$1" "$2"
}

# field FILE OFFSET BYTES: of its bext, text without NULs
field()
{
	body "$1" bext | tail -c +$(($2 + 1)) | head -c "$3" | tr -d '\0'
}
time_reference()
{
	body "$1" bext | od -An -j 338 -N 8 -t u8 | tr -d ' '
}
by_ffprobe()
{
	ffprobe -v error -show_entries format_tags=time_reference -of default=nk=1:nw=1 "$1"
}

# ---- files of field recorders
if have_shared audio/field-recorders; then
	n=0
	for f in "$SHARED"/audio/field-recorders/*; do
		n=$((n + 1))
		name=${f##*/}
		run rec-trim -q -s 10007f -e -3001f -O $n.wav "$f"
		status "$name: cut" 0
		[ -e $n.wav ] || continue
		rate=$(ffprobe -v error -select_streams a:0 -show_entries stream=sample_rate -of default=nk=1:nw=1 "$f")
		codec=$(ffprobe -v error -select_streams a:0 -show_entries stream=codec_name -of default=nk=1:nw=1 "$f")
		frame=$(($(ffprobe -v error -select_streams a:0 -show_entries stream=channels -of default=nk=1:nw=1 "$f") *
		    $(ffprobe -v error -select_streams a:0 -show_entries stream=bits_per_sample -of default=nk=1:nw=1 "$f") / 8))
		decode()
		{
			ffmpeg -v error -nostdin -i "$1" -map 0:a -c:a "$codec" -f data -
		}
		decode "$f" >whole
		ok "$name: its frames" cmp <(decode $n.wav) <(head -c -$((3001 * frame)) whole | tail -c +$((10007 * frame + 1)))
		# All that is not about places in the audio or sums of it goes along byte for byte.
		chunks "$f" | grep -vE '^(data|bext|iXML|cue |smpl|fact|JUNK|junk|PAD |FLLR|MD5 |PEAK|levl) ' | sort >before
		chunks $n.wav | grep -vE '^(data|bext|iXML|cue |smpl|fact|JUNK|junk|PAD |FLLR) ' | sort >after
		ok "$name: $(wc -l <before) chunks byte for byte" cmp before after
		is "$name: no chunk is lost" "$(chunks $n.wav | cut -c 1-4 | grep -vE 'JUNK|PAD |FLLR|junk|smpl' | sort)" \
		    "$(chunks "$f" | cut -c 1-4 | grep -vE 'JUNK|PAD |FLLR|MD5 |PEAK|levl|junk|smpl' | sort)"
		ok "$name: sox reads it" sox $n.wav -n stat
		body "$f" bext >bext
		[ -s bext ] || continue
		is "$name: TimeReference advances" "$(time_reference $n.wav)" \
		    $((($(time_reference "$f") + 10007) % (86400 * rate)))
		is "$name: and ffprobe says so" "$(by_ffprobe $n.wav)" "$(time_reference $n.wav)"
		is "$name: description and originator stay" "$(field $n.wav 0 320)" "$(field "$f" 0 320)"
		ok "$name: CodingHistory begins as it was" cmp <(body "$f" bext | tail -c +603 | tr -d '\0') \
		    <(body $n.wav bext | tail -c +603 | tr -d '\0' | head -c "$(body "$f" bext | tail -c +603 | tr -d '\0' | wc -c)")
		ok "$name: and has a line of this" grep -aq 'T=rectools .*rec-trim; from frame 10007' <(body $n.wav bext)
		ok "$name: its iXML differs in times alone" test "$(diff --text <(body "$f" iXML | tr -d '\r' | tr '>' '\n') \
		    <(body $n.wav iXML | tr -d '\r' | tr '>' '\n') | grep -c '^[<>] .*<' )" -le 24
	done
else
	skip "files of field recorders" "no ../shared/audio/field-recorders"
fi

# ---- a WAV with everything
cat >make.py <<'P'
import random, struct
random.seed(4)
def chunk(name, body):
    return name + struct.pack('<I', len(body)) + body + b'\0' * (len(body) % 2)
frames, rate = 100000, 48000
audio = bytes(random.randrange(256) for _ in range(frames * 4))
bext = b'The description'.ljust(256, b'\0') + b'Recorder'.ljust(32, b'\0') + b'REF'.ljust(32, b'\0')
bext += b'2024-02-29' + b'23:59:59' + struct.pack('<Q', 86400 * rate - 48000) + struct.pack('<H', 2)
bext += bytes(range(64)) + struct.pack('<5h', -2300, 100, -100, -1800, -2000) + b'\0' * 180 + b'A=PCM,F=48000,W=16,M=stereo,T=Old\r\n'
# "data" as a cue's name and as its chunk, and a whole chunk header within a note.
def cue(i, at):
    return struct.pack('<II4sIII', i, at, b'data', 0, 0, at)
cues = struct.pack('<I', 4) + cue(1, 5000) + cue(2, 40000) + cue(0x61746164, 60000) + cue(4, 99000)
adtl = b'adtl' + chunk(b'labl', struct.pack('<I', 2) + b'data\0') + chunk(b'labl', struct.pack('<I', 1) + b'gone\0')
adtl += chunk(b'note', struct.pack('<I', 0x61746164) + b'data\x10\0\0\0fake\0')
info = b'INFO' + chunk(b'INAM', b'A title\0') + chunk(b'IART', b'An artist\0') + chunk(b'ICMT', b'data\x04\0\0\0\0')
body = chunk(b'fmt ', struct.pack('<HHIIHH', 1, 2, rate, rate * 4, 4, 16)) + chunk(b'bext', bext) + chunk(b'cue ', cues)
body += chunk(b'LIST', adtl) + chunk(b'LIST', info) + chunk(b'iXML', b'<?xml version="1.0"?><BWFXML><PROJECT>P</PROJECT></BWFXML>')
body += chunk(b'odd ', b'\x01\x02\x03') + chunk(b'MD5 ', bytes(16)) + chunk(b'PEAK', struct.pack('<II', 1, 0) + bytes(16))
body += chunk(b'data', audio) + chunk(b'id3 ', b'ID3\x03\0\0\0\0\0\0') + chunk(b'ZZZZ', b'data')
open('all.wav', 'wb').write(b'RIFF' + struct.pack('<I', 4 + len(body)) + b'WAVE' + body)
open('audio', 'wb').write(audio)
def big(name, b):
    return name + struct.pack('>I', len(b)) + b + b'\0' * (len(b) % 2)
comm = struct.pack('>hIh', 2, frames, 16) + bytes.fromhex('400ebb80000000000000')
mark = struct.pack('>H', 2) + struct.pack('>HI', 1, 1000) + b'\x03one' + struct.pack('>HI', 2, 40000) + b'\x03two'
swapped = bytes(x for i in range(0, len(audio), 2) for x in (audio[i + 1], audio[i]))
ssnd = struct.pack('>II', 0, 0) + swapped
b = big(b'COMM', comm) + big(b'NAME', b'A name') + big(b'MARK', mark) + big(b'APPL', b'xyz!data') + big(b'SSND', ssnd) + big(b'ANNO', b'note')
open('all.aiff', 'wb').write(b'FORM' + struct.pack('>I', 4 + len(b)) + b'AIFF' + b)
P
python3 make.py || plan_skip "python3 cannot make files"
run rec-trim -s 30000f -d 50000f -O out.wav all.wav
status "everything at once: cut" 0
jq_is "what is dropped is said" .dropped "MD5, PEAK"
stderr_has "and told" 'not carried over .*: MD5, PEAK'
ok "its audio" cmp <(body out.wav data) <(tail -c +120001 audio | head -c 200000)
ok "its audio by sox" cmp <(sox -D out.wav -t raw - 2>/dev/null) <(body out.wav data)
for c in 'iXML' 'odd ' 'id3 ' 'ZZZZ' 'fmt '; do
	ok "'$c' byte for byte" cmp <(body all.wav "$c") <(body out.wav "$c")
done
is "chunks in their order" "$(chunks out.wav | cut -c 1-4 | grep -vE 'JUNK|fmt ' | tr '\n' '|')" \
    "$(chunks all.wav | cut -c 1-4 | grep -vE 'MD5 |PEAK|fmt ' | tr '\n' '|')"
is "LIST INFO byte for byte" "$(chunks out.wav | grep -c "$(chunks all.wav | grep LIST | tail -n 1)")" 1
is "TimeReference" "$(time_reference out.wav)" $((86400 * 48000 - 18000))
is "TimeReference: by ffprobe" "$(by_ffprobe out.wav)" $((86400 * 48000 - 18000))
run rec-trim -q -s 58000f -O midnight.wav all.wav
is "TimeReference: past midnight" "$(time_reference midnight.wav)" 10000
is "date and time are those of the next day" "$(field midnight.wav 320 18)" 2024-03-0100:00:00
is "UMID stays" "$(body out.wav bext | tail -c +349 | head -c 64 | sha256sum)" "$(body all.wav bext | tail -c +349 | head -c 64 | sha256sum)"
is "loudness is not given any more" "$(body out.wav bext | od -An -j 412 -N 10 -t u2 | tr -s ' ')" " 32767 32767 32767 32767 32767"
is "CodingHistory has a line more" "$(body out.wav bext | tail -c +603 | tr -d '\r\0' | sed 's/rectools [0-9.]*/rectools/')" \
    "A=PCM,F=48000,W=16,M=stereo,T=Old
A=PCM,F=48000,W=16,M=stereo,T=rectools; rec-trim; from frame 30000"
is "cues are shifted, those outside gone" "$(body out.wav 'cue ' | od -An -v -t u4 -w24 -j 4 | awk '{ print $1, $2, $6 }')" \
    "2 10000 10000
1635017060 30000 30000"
is "a label stays with its cue, and the other is gone" "$(body out.wav LIST | strings -n 4 | grep -E '^(data|gone)$' | sort -u)" data
ok "a note stays" grep -aq fake <(body out.wav LIST)
run rec-trim -q --split cues -O cue.wav all.wav
is "split at cues" "$(jq .frames "$out" | tr '\n' ' ')" "5000 35000 20000 39000 1000 "
cp "$out" made
run_in made rec-trim -q --join -O joined.wav
ok "joined: the audio as before" cmp <(body joined.wav data) audio
is "joined: every cue is where it was" "$(body joined.wav 'cue ' | od -An -v -t u4 -w24 -j 4 | awk '{ print $6 }' | sort -nu | tr '\n' ' ')" \
    "5000 40000 60000 99000 "
run rec-trim -q -O same.wav all.wav
ok "all of it: bext is as it was, but for a line" cmp -n 602 <(body same.wav bext) <(body all.wav bext)
run rec-trim -q --gain -3 -O soft.wav all.wav
jq_is "gained: MD5 is not true any more" .dropped "MD5, PEAK"

run rec-trim -q -s 30000f -d 50000f -O out.aiff all.aiff
status "AIFF: cut" 0
ok "AIFF: its audio" cmp <(sox -D out.aiff -t raw -L - 2>/dev/null) <(tail -c +120001 audio | head -c 200000)
for c in NAME APPL ANNO; do
	ok "AIFF: $c byte for byte" cmp <(body all.aiff "$c") <(body out.aiff "$c")
done
is "AIFF: the marker within is shifted" "$(body out.aiff MARK | od -An -v -t x1 | tr -d ' \n')" 0001000200002710"0374776f"
is "AIFF: frames in COMM" "$(body out.aiff COMM | od -An -j 2 -N 4 -t x1 | tr -d ' ')" 0000c350

# ---- RF64 and W64
ffmpeg -v error -nostdin -i all.wav -c:a pcm_s16le -rf64 always -write_bext 1 -metadata time_reference=5000 \
    -metadata description=D x.rf64.wav
run rec-trim -q -s 1000f -d 7777f -O y.rf64.wav x.rf64.wav
is "RF64 stays that" "$(head -c 4 y.rf64.wav)" RF64
is "RF64: time_reference" "$(by_ffprobe y.rf64.wav)" 6000
ffmpeg -v error -nostdin -i all.wav -c:a pcm_s16le -f w64 x.w64
run rec-trim -q -s 1000f -d 7777f -O y.w64 x.w64
ok "W64: as ffmpeg reads it" cmp <(ffmpeg -v error -nostdin -i y.w64 -f s16le -) <(tail -c +4001 audio | head -c 31108)

# ---- FLAC
sox -t raw -r 48000 -c 2 -e signed -b 16 audio plain.wav
cat >sheet.cue <<'C'
CATALOG 1234567890123
FILE "plain.wav" WAVE
  TRACK 01 AUDIO
    INDEX 01 00:00:00
  TRACK 02 AUDIO
    INDEX 01 00:01:00
C
ffmpeg -v error -nostdin -f lavfi -i color=red:s=16x16 -frames:v 1 p.png
flac --silent -5 --blocksize=1024 -S 10x -P 5000 --picture p.png -T TITLE=Song -T 'ARTIST=Më' -T 'X=a=b' --cuesheet=sheet.cue -o x.flac plain.wav
run rec-trim -s 20000f -d 60000f -O y.flac x.flac
status "FLAC: cut" 0
ok "FLAC: flac -t" flac -s -t y.flac
ok "FLAC: its audio" cmp <(flac -s -d -c --force-raw-format --endian=little --sign=signed y.flac) <(tail -c +80001 audio | head -c 240000)
ok "FLAC: tags" cmp <(metaflac --export-tags-to=- x.flac) <(metaflac --export-tags-to=- y.flac)
ok "FLAC: picture" cmp <(metaflac --export-picture-to=- y.flac) p.png
is "FLAC: MD5 is that of the new audio" "$(metaflac --show-md5sum y.flac)" "$(tail -c +80001 audio | head -c 240000 | md5sum | cut -c 1-32)"
is "FLAC: total" "$(metaflac --show-total-samples y.flac)" 60000
ok "FLAC: a seek table" grep -q SEEKTABLE <(metaflac --list y.flac)
ok "FLAC: a cue sheet" grep -q 'type: 5 (CUESHEET)' <(metaflac --list y.flac)
is "FLAC: its second track is where it was" "$(metaflac --list --block-type=CUESHEET y.flac | grep -E '^ +offset: ' | awk '{ print $2 }' | tr '\n' ' ' | grep -c '28000')" 1
is "FLAC: rate, channels, bits" "$(metaflac --show-sample-rate --show-channels --show-bps y.flac | tr '\n' ' ')" "48000 2 16 "
done_testing
