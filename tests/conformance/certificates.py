"""Certificates for one test, made by OpenSSL."""

import subprocess


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """Issues certificates into a folder."""

    def __init__(self, folder, name="authority"):
        self.folder = folder
        self.ca = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"
        openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.ca,
        )

    def issue(self, name, days=2):
        """Certificate and key of `name`, for this machine; and a file of both."""
        cert, key, both = (self.folder / f"{name}.{end}" for end in ("crt", "key", "both.pem"))
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/O=Example, Inc./OU=tests/CN={name}",
            "-keyout", key, "-out", request,
        )
        openssl(
            "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key, "-CAcreateserial",
            "-days", days, "-extfile", extensions, "-out", cert,
        )
        both.write_text(key.read_text() + cert.read_text())
        return cert, key, both
