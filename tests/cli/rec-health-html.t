#!/bin/bash
# rec-health check --html, seen by a browser: the page shows something, in light and in dark, fits a phone, runs no
# script, asks nobody for anything, and names from the archive do no harm.
. "$(dirname "$0")/../lib.sh"

for tool in sox flac sqlite3 ffmpeg python3; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done
command -v chromium >/dev/null || plan_skip "needs chromium, to look at the page"
[ -x "$BIN/rec-health" ] || plan_skip "rec-health is not built"

root=$TMP/archive
page=$TMP/page.html

# browse NAME URL OPTION...: one run of the browser with a profile of its own; its log is NAME.log, what it asked the
# network for NAME.net. No name resolves, so nothing gets out, neither what the page nor what the browser wants.
browse()
{
	local name=$1 url=$2

	shift 2
	timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run \
	    --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars \
	    --host-resolver-rules='MAP * ~NOTFOUND' --allow-file-access-from-files \
	    --user-data-dir="$TMP/profile-$name" --enable-logging=stderr --log-net-log="$TMP/$name.net" \
	    "$@" "file://$url" 2>"$name.log"
}

# What a page asked for: the requests whose initiator is an origin. The browser's own have none.
asked()
{
	python3 - "$TMP/$1.net" <<'PY'
import json, sys
text = open(sys.argv[1]).read()
try:
    log = json.loads(text)
except ValueError: # the browser ended before it closed the list
    log = json.loads(text.rstrip().rstrip(',') + ']}')
start = log['constants']['logEventTypes']['URL_REQUEST_START_JOB']
for event in log['events']:
    params = event.get('params')
    if event['type'] == start and isinstance(params, dict) and params.get('initiator', 'not an origin') != 'not an origin':
        print(params.get('url'))
PY
}

# light FILE: "LOWEST AVERAGE HIGHEST" luminance of a picture.
light()
{
	ffmpeg -v error -i "$1" -vf format=gray,signalstats,metadata=print:file=- -f null - |
	    awk -F= '/YMIN/ { lo = $2 } /YAVG/ { avg = $2 } /YMAX/ { hi = $2 } END { printf "%d %d %d\n", lo, avg, hi }'
}

# between LO N HI
between()
{
	[ "$1" -le "$2" ] && [ "$2" -le "$3" ]
}

# ---- the page
"$TOP/tests/data/make-archive" "$root" || plan_skip "make-archive cannot make an archive here"
long=$root/recordings/raw/0d61518bcd3f43b0a709a5298e939caf.wav
sox -R -D -n -r 44100 -c 1 -b 16 "$long" synth 40 pinknoise gain -6
sqlite3 -init /dev/null -bail "$root/db/app.db" "UPDATE recordings SET checksum = NULL, filesize_bytes = NULL WHERE id = 1;
    UPDATE recordings SET title = '<script>document.title = \"harm\"</script><img src=http://example.invalid/x.png>' WHERE id = 1"
run rec-migrate -C "$root" -q apply
# A check of the good bytes keeps what later tells the place of damage.
run rec-health -C "$root" -q check --fixity sample=100%
mtime=$(stat -c %y "$long")
head -c 300000 /dev/urandom | dd of="$long" bs=1000 seek=1500 conv=notrunc status=none
touch -d "$mtime" "$long"
printf x >"$root/recordings/raw/$(printf 'a <b>"hostile"&\x01\xff%0180d.wav' 0)"

run rec-health -C "$root" check --fixity all --html "$page"
status "damage was found" 1
ok "the page is there" test -s "$page"
is "for everybody to read" "$(stat -c %a "$page")" 644
cat >parse.py <<'PY'
import html.parser, sys
VOID = {'meta', 'link', 'br', 'img', 'input', 'hr'}
class Page(html.parser.HTMLParser):
    open, ids, problems = [], set(), []
    def handle_starttag(self, tag, attributes):
        if tag in ('script', 'img', 'link', 'iframe', 'object', 'embed', 'form', 'base'):
            self.problems.append('<%s>' % tag)
        for key, value in attributes:
            if key.startswith('on') or key in ('src', 'srcset', 'action', 'style') or key == 'href' and value[0] != '#':
                self.problems.append('%s=%s' % (key, value))
            if key == 'id' and value in self.ids:
                self.problems.append('id %s is there twice' % value)
            if key == 'id':
                self.ids.add(value)
        if tag not in VOID:
            self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)
    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append('</%s>' % tag)
text = open(sys.argv[1], 'rb').read().decode('utf-8') # strictly
if [c for c in text if ord(c) < 32 and c != '\n']:
    Page.problems.append('a control character')
page = Page()
page.feed(text)
page.close()
sys.exit('\n'.join(page.problems + page.open) or 0)
PY
ok "it is UTF-8 and nests; no script, no address, no id twice" python3 parse.py "$page"
ok "the answer comes first" grep -q '<strong>Damaged</strong>' "$page"
ok "a waveform has its damage marked" grep -q 'class="bracket"' "$page"

# ---- looked at
browse light "$page" --screenshot="$TMP/light.png" --window-size=1280,2000 >/dev/null
browse dark "$page" --screenshot="$TMP/dark.png" --window-size=1280,2000 --blink-settings=preferredColorScheme=0 >/dev/null
read -r lo avg hi < <(light light.png)
ok "in light there is dark text on a light ground" between 200 "${avg:-0}" 254
ok "and it is not blank" test "$((${hi:-0} - ${lo:-0}))" -gt 150
read -r lo avg hi < <(light dark.png)
ok "in dark there is light text on a dark ground" between 1 "${avg:-255}" 70
ok "and it is not blank, either" test "$((${hi:-0} - ${lo:-0}))" -gt 150

# A page of ours measures it in a frame, and tells by the title of its own.
for width in 320 390 768; do
	cat >wrap.html <<HTML
<!DOCTYPE html><title>not loaded</title><iframe src="page.html" style="width:${width}px;height:800px;border:0"></iframe>
<script>onload = () => {
	const page = document.querySelector('iframe').contentDocument;
	const wide = page.documentElement, low = [...page.querySelectorAll('svg text')].filter(t =>
	    t.getBoundingClientRect().height < 10);
	document.title = page.title.slice(0, 7) + ' ' + (wide.scrollWidth - wide.clientWidth) + ' ' + low.length;
}</script>
HTML
	is "at $width pixels nothing sticks out and no text of a chart is tiny" \
	    "$(browse wrap$width "$TMP/wrap.html" --dump-dom --window-size=1000,900 | sed -n 's/.*<title>\(.*\)<\/title>.*/\1/p' | head -n 1)" \
	    "Damaged 0 0"
done
browse phone "$page" --screenshot="$TMP/phone.png" --window-size=500,1600 >/dev/null
read -r lo avg hi < <(light phone.png)
ok "on a narrow screen it is not blank" test "$((${hi:-0} - ${lo:-0}))" -gt 150

# ---- asks nobody
is "the console is silent" "$(grep -ah CONSOLE light.log dark.log phone.log)" ""
is "it asks the network for nothing" "$(asked light; asked dark; asked phone)" ""
echo '<!DOCTYPE html><title>t</title><img src="http://example.invalid/x.png"><script>undefined_function()</script>' >asks.html
browse asks "$TMP/asks.html" --dump-dom >/dev/null
is "where a page does ask, that is seen" "$(asked asks)" "http://example.invalid/x.png"
ok "and so is its console" grep -aq 'CONSOLE.*undefined_function' asks.log

done_testing
