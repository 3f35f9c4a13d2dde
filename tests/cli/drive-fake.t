#!/bin/bash
# drive-fake, the stand-in for Google Drive of the tests of rec-sync, held against Google's own client library: what
# that does works, and what Google refuses is refused.
. "$(dirname "$0")/../lib.sh"

python=/usr/bin/python3
"$python" -c 'import googleapiclient, google_auth_httplib2' 2>/dev/null || plan_skip "needs python3-googleapi"
command -v curl >/dev/null && command -v jq >/dev/null || plan_skip "needs curl and jq"

start_fake()
{
	rm -f port
	"$TOP/tests/data/drive-fake" --dir drive --port-file port >/dev/null 2>fake.err &
	fake=$!
	for _ in $(seq 200); do
		[ -s port ] && break
		sleep 0.05
	done
	url=http://127.0.0.1:$(cat port)
}

stop_fake()
{
	kill "$fake" 2>/dev/null
	wait "$fake" 2>/dev/null
}

# With the status that the test ends with.
finish_fake()
{
	local rc=$?

	stop_fake
	(exit $rc)
	_finish
}

trap finish_fake EXIT
start_fake
head -c 3000000 /dev/urandom >song
head -c 1000 /dev/urandom >small
: >empty

cat >client.py <<'PY'
import hashlib, io, json, sys, urllib.request
import httplib2, google_auth_httplib2
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaFileUpload, MediaIoBaseDownload

url = sys.argv[1]
document = urllib.request.urlopen(url + "/discovery/v1/apis/drive/v3/rest").read().decode()
credentials = Credentials(None, refresh_token="refresh", token_uri=url + "/token", client_id="client",
                          client_secret="secret")
http = httplib2.Http()
http.redirect_codes = set(http.redirect_codes) - {308}
files = build_from_document(document, base=url + "/", http=google_auth_httplib2.AuthorizedHttp(credentials, http)).files()


def say(**values):
    print(json.dumps(values))


def refused(call):
    try:
        call()
    except HttpError as e:
        return "%d %s" % (e.resp.status, json.loads(e.content)["error"]["errors"][0]["reason"])
    return "not refused"


def whole(file_id, **headers):
    request = files.get_media(fileId=file_id)
    request.headers.update(headers)
    return request.execute()


def resumable(path, body, **more):
    request = files.create(body=body, media_body=MediaFileUpload(path, "audio/wav", chunksize=256 * 1024, resumable=True),
                           fields="id,size,md5Checksum,sha256Checksum,headRevisionId,parents,appProperties", **more)
    answer, pieces = None, 0
    while answer is None:
        _, answer = request.next_chunk()
        pieces += 1
    return answer, pieces
PY

# py NAME FILTER WANTED: what the program on stdin says
py()
{
	{ cat client.py; cat; } >run.py
	run "$python" run.py "$url"
	if [ "$st" = 0 ]; then jq_is "$@"; else status "$1" 0; fi
}

py "a folder is made, and found by the query for it" '[.n, .name]' '[1,"It'"'"'s \\ mine"]' <<'PY'
ids = files.generateIds(count=3, space="drive").execute()["ids"]
files.create(body={"id": ids[0], "name": "It's \\ mine", "mimeType": "application/vnd.google-apps.folder"}).execute()
found = files.list(q="name = 'It\\'s \\\\ mine' and mimeType = 'application/vnd.google-apps.folder' and "
                   "'root' in parents and trashed = false").execute()["files"]
say(n=len(found), name=found[0]["name"])
PY

py "a resumable upload in chunks arrives whole" \
    '[.pieces, .size, .md5, .sha256, .content]' '[12,"3000000",true,true,true]' <<'PY'
data = open("song", "rb").read()
f, pieces = resumable("song", {"name": "song.wav", "appProperties": {"content_sha256": hashlib.sha256(data).hexdigest()}})
say(pieces=pieces, size=f["size"], md5=f["md5Checksum"] == hashlib.md5(data).hexdigest(),
    sha256=f["sha256Checksum"] == hashlib.sha256(data).hexdigest(), content=whole(f["id"]) == data)
PY

py "it is found by its property, and told with what was asked for only" '[.n, .keys]' '[1,["id","name"]]' <<'PY'
digest = hashlib.sha256(open("song", "rb").read()).hexdigest()
found = files.list(q="appProperties has { key='content_sha256' and value='%s' } and trashed=false" % digest,
                   fields="files(id,name)").execute()["files"]
say(n=len(found), keys=sorted(found[0]))
PY

py "a file without bytes, and a small one, each in one multipart request" '[.empty, .small]' '["0",true]' <<'PY'
f = files.create(body={"name": "empty"}, media_body=MediaFileUpload("empty", "audio/wav"), fields="size").execute()
g = files.create(body={"name": "small"}, media_body=MediaFileUpload("small", "audio/wav"), fields="id").execute()
say(empty=f["size"], small=whole(g["id"]) == open("small", "rb").read())
PY

py "an id is good for one file" '[.again, .foreign, .begun]' \
    '["409 fileIdInUse","400 invalid","409 fileIdInUse"]' <<'PY'
i = files.generateIds(count=1).execute()["ids"][0]
files.create(body={"id": i, "name": "a"}).execute()
say(again=refused(lambda: files.create(body={"id": i, "name": "b"}).execute()),
    foreign=refused(lambda: files.create(body={"id": "of-my-own", "name": "b"}).execute()),
    begun=refused(lambda: resumable("small", {"id": i, "name": "b"})))
PY

py "metadata is merged, null removes a property, a place is changed by arguments" \
    '[.props, .name, .moved, .direct]' '[{"b":"2","c":"3"},"new",true,"403 fieldNotWritable"]' <<'PY'
to = files.create(body={"name": "to", "mimeType": "application/vnd.google-apps.folder"}).execute()["id"]
f = files.create(body={"name": "old", "appProperties": {"a": "1", "b": "2"}}, fields="id,parents,version").execute()
g = files.update(fileId=f["id"], body={"name": "new", "appProperties": {"a": None, "c": "3"}}, addParents=to,
                 removeParents=f["parents"][0], fields="name,appProperties,parents,version").execute()
say(props=g["appProperties"], name=g["name"], moved=g["parents"] == [to] and int(g["version"]) > int(f["version"]),
    direct=refused(lambda: files.update(fileId=f["id"], body={"parents": ["root"]}).execute()))
PY

py "properties have limits" '[.long, .many]' '["400 invalid","403 appPropertiesLimitExceeded"]' <<'PY'
say(long=refused(lambda: files.create(body={"appProperties": {"k" * 24: "v" * 101}}).execute()),
    many=refused(lambda: files.create(body={"appProperties": {str(i): "" for i in range(31)}}).execute()))
files.create(body={"appProperties": {"k" * 24: "v" * 100}}).execute()
PY

py "new content is a new revision under the same id; a copy is a file of its own" \
    '[.revision, .kept, .content, .copy, .id]' '[true,true,true,true,true]' <<'PY'
f, _ = resumable("song", {"name": "r", "appProperties": {"a": "1"}})
g = files.update(fileId=f["id"], body={"name": "s"}, fields="id,headRevisionId").execute()
h = files.update(fileId=f["id"], media_body=MediaFileUpload("small", "audio/wav", resumable=True),
                 fields="id,headRevisionId").execute()
i = files.generateIds(count=1).execute()["ids"][0]
c = files.copy(fileId=f["id"], body={"id": i, "appProperties": {"a": None, "b": "2"}}, fields="id,appProperties").execute()
say(revision=h["headRevisionId"] != f["headRevisionId"], kept=g["headRevisionId"] == f["headRevisionId"],
    content=whole(h["id"]) == open("small", "rb").read(), copy=c["appProperties"] == {"b": "2"} and
    whole(c["id"]) == open("small", "rb").read(), id=c["id"] == i != f["id"])
PY

py "a part of the content is told as such; behind its end is none" '[.part, .behind, .chunks]' \
    '[true,"416 requestedRangeNotSatisfiable",true]' <<'PY'
data = open("song", "rb").read()
f, _ = resumable("song", {"name": "ranges"})
out = io.BytesIO()
download, done = MediaIoBaseDownload(out, files.get_media(fileId=f["id"]), chunksize=1000000), False
while not done:
    _, done = download.next_chunk()
say(part=whole(f["id"], range="bytes=2999000-") == data[2999000:],
    behind=refused(lambda: whole(f["id"], range="bytes=3000000-")), chunks=out.getvalue() == data)
PY

py "lists come in pages, each file once, the oldest first" '[.n, .pages, .sorted, .wrong, .large]' \
    '[25,3,true,"400 invalid","400 invalid"]' <<'PY'
at = files.create(body={"name": "pages", "mimeType": "application/vnd.google-apps.folder"}).execute()["id"]
made = [files.create(body={"name": str(i), "parents": [at]}).execute()["id"] for i in range(25)]
seen, pages, request = [], 0, files.list(q="'%s' in parents" % at, pageSize=10, orderBy="createdTime",
                                         fields="nextPageToken,files(id,createdTime)")
while request is not None:
    answer = request.execute()
    pages, seen = pages + 1, seen + answer["files"]
    request = files.list_next(request, answer)
times = [f["createdTime"] for f in seen]
say(n=len({f["id"] for f in seen} & set(made)), pages=pages, sorted=times == sorted(times),
    wrong=refused(lambda: files.list(q="name ~ 'x'").execute()),
    large=refused(lambda: files.list(pageSize=1001).execute()))
PY

py "what is deleted is gone, and deleting it again says so" '[.get, .again, .listed]' \
    '["404 notFound","404 notFound",0]' <<'PY'
f, _ = resumable("small", {"name": "to be deleted"})
files.delete(fileId=f["id"]).execute()
say(get=refused(lambda: files.get(fileId=f["id"]).execute()),
    again=refused(lambda: files.delete(fileId=f["id"]).execute()),
    listed=len(files.list(q="name = 'to be deleted'").execute()["files"]))
PY

# ---- the protocol of sessions, by hand ----

token=$(curl -s "$url/token" -d grant_type=refresh_token -d client_id=client -d client_secret=secret \
    -d refresh_token=refresh | jq -r .access_token)

# call METHOD PATH-OR-URL ARGUMENT...: status and what the headers say
call()
{
	local method=$1 at=$2

	shift 2
	case $at in /*) at=$url$at ;; esac
	curl -s -o body -D head -X "$method" -H Expect: -H "Authorization: Bearer $token" "$@" "$at"
	tr -d '\r' <head | awk 'NR == 1 { printf "%s", $2 } tolower($1) == "range:" { printf " %s", $2 } END { print "" }'
}

# begin SIZE: a session in $session
begin()
{
	call POST "/upload/drive/v3/files?uploadType=resumable" -H "X-Upload-Content-Length: $1" \
	    -H "Content-Type: application/json" -d '{"name":"by hand"}' >status
	session=$(tr -d '\r' <head | awk 'tolower($1) == "location:" { print $2 }')
}

# piece FIRST LAST TOTAL [SENT]: bytes of song into the session
piece()
{
	tail -c +$(($1 + 1)) song | head -c "${4:-$(($2 - $1 + 1))}" >piece
	call PUT "$session" -H "Content-Range: bytes $1-$2/$3" --data-binary @piece
}

begin 3000000
is "a session knows of nothing at first" "$(call PUT "$session" -H "Content-Range: bytes */3000000" -d "")" "308"
is "a chunk that is no multiple of 256 KiB is refused" "$(piece 0 99999 3000000)" 400
is "a chunk that is shorter than it says is refused" "$(piece 0 262143 3000000 262142)" 400
is "a chunk that does not begin where the last ended is refused" "$(piece 262144 524287 3000000)" 400
is "another size than at the start is refused" "$(piece 0 262143 3000001)" 400
is "what is kept is told" "$(piece 0 262143 3000000)" "308 bytes=0-262143"
stop_fake
start_fake
session=$url/${session#http://*/}
is "a session survives a restart, as do tokens" \
    "$(call PUT "$session" -H "Content-Range: bytes */3000000" -d "")" "308 bytes=0-262143"
is "the last chunk may have any size" "$(piece 262144 2999999 3000000)" 200
is "asked again, the session tells of its file" \
    "$(call PUT "$session" -H "Content-Range: bytes */3000000" -d ""; jq -r .name body)" "$(printf '200\nby hand')"
is "a file that was made before a restart is whole" \
    "$(call GET "/drive/v3/files/$(jq -r .id body)?alt=media" >status; cmp body song && echo same)" same
begin 0
is "a session of no bytes is done by an empty body, or by asking" \
    "$(call PUT "$session" -d ""; begin 0; call PUT "$session" -H "Content-Range: bytes */0" -d "")" \
    "$(printf '200\n200')"
begin 3000000
is "a session is cancelled" "$(call DELETE "$session"; call PUT "$session" -H "Content-Range: bytes */3000000" -d "")" \
    "$(printf '499\n404')"

# ---- faults ----

fault_next()
{
	curl -s -o /dev/null "$url/fake/faults" -d "[$1]"
}

for f in '"userRateLimitExceeded" 403' '"storageQuotaExceeded" 403' '"429" 429' '"401" 401' '"503" 503'; do
	fault_next "{\"match\": \"GET /drive\", \"do\": ${f% *}}"
	is "asked for ${f% *}: once" "$(call GET /drive/v3/files; call GET /drive/v3/files)" "$(printf '%s\n200' "${f#* }")"
done
fault_next '{"match": "GET /drive", "do": "429", "retry_after": 7}'
is "Retry-After is told" "$(call GET /drive/v3/files >status; grep -ic '^retry-after: 7' head)" 1
begin 3000000
fault_next '{"match": "PUT", "do": "short", "keep": 262144}'
is "a part of a chunk is kept, and told" "$(piece 0 1048575 3000000)" "308 bytes=0-262143"
fault_next '{"match": "PUT", "do": "lost"}'
is "an answer is lost though the work was done" "$(piece 262144 524287 3000000)" ""
is "… as the session says" "$(call PUT "$session" -H "Content-Range: bytes */3000000" -d "")" "308 bytes=0-524287"
fault_next '{"match": "PUT", "do": "gone", "status": 410}'
is "a session ends" "$(piece 524288 786431 3000000; piece 524288 786431 3000000)" "$(printf '410\n404')"
curl -s -o /dev/null "$url/fake/settings" -d '{"token_seconds": 0}'
is "a token ends" "$(token=$(curl -s "$url/token" -d grant_type=refresh_token -d client_id=client \
    -d client_secret=secret -d refresh_token=refresh | jq -r .access_token); call GET /drive/v3/files)" 401
curl -s -o /dev/null "$url/fake/settings" -d '{"token_seconds": 3600, "revoked": true}'
is "a sign-in is revoked" "$(curl -s "$url/token" -d grant_type=refresh_token -d client_id=client \
    -d client_secret=secret -d refresh_token=refresh | jq -r .error)" invalid_grant
is "no secret is in the log" "$(curl -s "$url/fake/log" | grep -c -e ya29 -e "upload_id=A")" 0
is "the fake complained of nothing" "$(cat fake.err)" ""
done_testing
