"""Files from a form or a program, kept in the folder `uploads`, and given back.

python examples/upload.py                 # then open http://127.0.0.1:8000
curl -i -F files=@a.txt -F files=@b.txt http://127.0.0.1:8000       # several at once: 303
curl -i -T big.iso http://127.0.0.1:8000/files/                     # streamed: 201, 413 over 1 GiB
curl -i -H "range: bytes=0-9" http://127.0.0.1:8000/files/a.txt     # ten bytes of it: 206
"""

import shutil
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from tarry import App, Html, Redirect, Request, SendFile, Upload, safe_filename

FOLDER = Path("uploads")
PAGE = """<!doctype html><html lang="en"><title>Files</title><style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui } * { max-width: 100% }
body { max-width: 40rem; margin: 8vh auto; padding: 0 1.25rem } ul { padding: 0 }
form, li { display: flex; flex-wrap: wrap; gap: .25rem 1rem; justify-content: space-between;
padding: .75rem 0; overflow-wrap: anywhere; border-bottom: 1px solid #8886 }</style>
<meta name="viewport" content="width=device-width"><h1>Files</h1><form method="post"
enctype="multipart/form-data"><input type="file" name="files" multiple required aria-label="Files">
<button>Upload</button></form>"""
app = App()
app.on("start", lambda: FOLDER.mkdir(exist_ok=True))


@app.get("/")
def index() -> Html:
    rows = ""
    for path in sorted(filter(Path.is_file, FOLDER.iterdir())):
        url = app.url_for("file", name=path.name)
        rows += f'<li><a href="{url}">{escape(path.name)}</a> {path.stat().st_size:,} bytes'
    return Html(f"{PAGE}<ul>{rows}</ul>")


@app.post("/", max_body_bytes=32 * 1024 * 1024)
def save(files: list[Upload]) -> Redirect:
    for file in files:
        file.save(FOLDER / file.filename, overwrite=True)  # it appears when it is complete
    return Redirect("/", 303)


@app.get("/files/{name}", name="file")
def download(name: str) -> SendFile:
    return SendFile(FOLDER / safe_filename(name), download=True)


@app.put("/files/{name}", max_body_bytes=1024**3)
def put(name: str, request: Request) -> tuple[int, str]:
    with TemporaryDirectory(dir=FOLDER) as folder, Path(folder, "part").open("xb") as part:
        shutil.copyfileobj(request.file, part)
        part.flush()
        Path(part.name).rename(FOLDER / safe_filename(name))
    return 201, "kept\n"


if __name__ == "__main__":
    app.run()
