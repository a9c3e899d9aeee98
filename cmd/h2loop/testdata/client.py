"""A client of HTTP/1.1 on Python's http.client: argument 1 is the server's URL."""
import http.client
import ssl
import sys

url = sys.argv[1]
host = url.split("//")[1].rstrip("/")
if url.startswith("https"):
    c = http.client.HTTPSConnection(host, context=ssl._create_unverified_context())
else:
    c = http.client.HTTPConnection(host)


def ask(method, path, **more):
    c.request(method, path, **more)
    r = c.getresponse()
    assert r.status == 200, r.status
    return r, r.read()


for i in range(100):
    assert ask("GET", f"/hello?{i}")[1] == b"Hello, World!\n"
assert len(ask("GET", "/bench/10m")[1]) == 10 << 20
assert ask("POST", "/bench/upload", body=b"x" * 3000000)[1] == b"3000000"
chunks = (b"y" * 1000 for _ in range(100))
assert ask("POST", "/bench/upload", body=chunks, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})[1] == b"100000"
r, body = ask("HEAD", "/hello")
assert body == b"" and r.headers["content-length"] == "14"
print("ok")
