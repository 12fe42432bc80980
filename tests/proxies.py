"""nginx as platforms put it in front: it chooses a server, and speaks https."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.servers import Process, free_port, required

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/bodies;
  proxy_temp_path {folder}/answers;
  fastcgi_temp_path {folder}/unused1;
  uwsgi_temp_path {folder}/unused2;
  scgi_temp_path {folder}/unused3;
  upstream holdfast {{
    include {folder}/upstreams.conf;
    keepalive 16;
  }}
  server {{
    {listen}
    location / {{
      proxy_pass http://holdfast;
      proxy_request_buffering off;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Port $server_port;
    }}
  }}
}}
"""


class Nginx(Process):
    """Asks the servers at these addresses in turn; leaves out one that is gone."""

    def __init__(self, folder: Path, upstreams: list[str], *, https: bool = False):
        super().__init__(folder)
        self.folder = folder
        self._upstreams = upstreams
        self._https = https
        # With https it speaks http here as well.
        self.plain_port = free_port()

    @property
    def url(self) -> str:
        return f"http{'s' if self._https else ''}://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    def command(self) -> list[str]:
        found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        self._write()
        file = str(self.folder / "nginx.conf")
        return [required(found, "nginx"), "-p", str(self.folder), "-c", file]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}

    def answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/healthz", verify=False).status_code == 200  # noqa: S501
        return False

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=10, **options)

    def _write(self) -> None:
        listen = f"listen 127.0.0.1:{self.port};"
        if self._https:
            key = self.folder / "key.pem"
            make_certificate(key, self.certificate)
            listen = (
                f"listen 127.0.0.1:{self.port} ssl; listen 127.0.0.1:{self.plain_port};"
                f"ssl_certificate {self.certificate}; ssl_certificate_key {key};"
            )
        upstreams = [f"server {name} fail_timeout=2s;" for name in self._upstreams]
        (self.folder / "upstreams.conf").write_text("\n".join(upstreams))
        text = CONFIGURATION.format(folder=self.folder, listen=listen)
        (self.folder / "nginx.conf").write_text(text)


def make_certificate(key: Path, certificate: Path) -> None:
    if certificate.exists():
        return
    make = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(key), "-out", str(certificate))
    openssl = required(shutil.which("openssl"), "openssl")
    subprocess.run([openssl, *make, *names, *files], check=True, capture_output=True)  # noqa: S603
