"""Programs as Debian packages them, fetched and unpacked without being root."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from member import target

# What dig needs beyond the C library; what a machine has already does no harm.
DIG = """
bind9-dnsutils bind9-libs libfstrm0 libjemalloc2 liblmdb0 libmaxminddb0 libprotobuf-c1 libuv1
libnghttp2-14 libjson-c5 libedit2 libbsd0 libmd0 libidn2-0 libunistring2 libxml2 libicu72
libgssapi-krb5-2 libkrb5-3 libkrb5support0 libk5crypto3 libcom-err2 libkeyutils1 libssl3
""".split()


HAPROXY = """
haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 libpcre2-8-0 libssl3 libsystemd0
libcap2 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libzstd1
""".split()
DNSMASQ = """
dnsmasq-base libdbus-1-3 libgmp10 libhogweed6 libnettle8 libidn2-0 libunistring2 libnetfilter-conntrack3
libnfnetlink0 libnftables1 libnftnl11 libmnl0 libjansson4 libxtables12 libedit2 libbsd0 libmd0 libtinfo6
libsystemd0 libcap2 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libzstd1
""".split()


def debian_root(name, packages):
    """A folder with Debian's packages unpacked, fetched without being root."""
    folder = target() / "conformance" / name
    root = folder / "root"
    if not root.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as part:
            # As root apt would drop its rights, for which this folder is not made.
            fetch = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *packages]
            subprocess.run(fetch, cwd=part, check=True, stdin=subprocess.DEVNULL)
            for package in pathlib.Path(part).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", package, f"{part}/root"], check=True)
            # Last, so that a fetch that was interrupted is not taken for whole.
            shutil.move(f"{part}/root", root)
    return root


def dig_command():
    """Debian's dig, and the environment it runs in."""
    root = debian_root("dig", DIG)
    return root / "usr" / "bin" / "dig", environment_of(root)


def haproxy_command():
    """Debian's HAProxy, and the environment it runs in."""
    root = debian_root("haproxy", HAPROXY)
    return root / "usr" / "sbin" / "haproxy", environment_of(root)


def dnsmasq_command():
    """Debian's dnsmasq, and the environment it runs in."""
    root = debian_root("dnsmasq", DNSMASQ)
    return root / "usr" / "sbin" / "dnsmasq", environment_of(root)


def environment_of(root):
    """Where a program finds the libraries that were unpacked with it."""
    libraries = [str(path) for path in root.glob("usr/lib/*-linux-gnu*")]
    libraries += [str(path) for path in root.glob("lib/*-linux-gnu*")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}


# Consul as Debian 11 has it, under the Mozilla Public License 2.0. Later releases of
# Debian have none. By architecture, with its SHA-256.
CONSUL = {
    "amd64": ("1.8.7+dfsg1-2+b3", "e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9"),
    "arm64": ("1.8.7+dfsg1-2+b3", "7318cfa77a7ba6f71dd096e44353279de246ffc6561216ace42353685dcf8255"),
}


def consul_command():
    """The genuine `consul`, unpacked from Debian 11's package."""
    folder = target() / "conformance" / "consul-debian"
    if not (folder / "root").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as part:
            unpack_pooled("consul", CONSUL, part)
            shutil.move(f"{part}/root", folder / "root")
    return folder / "root" / "usr" / "bin" / "consul"


def debian_architecture():
    asked = subprocess.run(["dpkg", "--print-architecture"], check=True, stdout=subprocess.PIPE, text=True)
    return asked.stdout.strip()


def unpack_pooled(package, releases, part):
    """Unpacks a package of an older Debian below `part`; `releases` has its
    version and its SHA-256 by architecture.

    apt's lists know only the release that is configured here. Its mirror holds
    the others' packages too; when that no longer has it, DEBIAN_MIRROR names
    another one, such as Debian's archive of releases that are no longer kept up.
    """
    architecture = debian_architecture()
    if architecture not in releases:
        raise SystemExit(f"{package} is pinned for {', '.join(releases)}, not for {architecture}")
    version, digest = releases[architecture]
    file = f"{package}_{version}_{architecture}.deb"
    tried = []
    for mirror in debian_mirrors():
        url = f"{mirror.rstrip('/')}/pool/main/{package[0]}/{package}/{file}"
        # apt's own way to a mirror, proxies included; it compares the digest.
        fetch = ["/usr/lib/apt/apt-helper", "-q", "-o", "APT::Sandbox::User=root", "download-file",
                 url, f"{part}/{file}", f"SHA256:{digest}"]
        fetched = subprocess.run(fetch, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        if fetched.returncode == 0:
            subprocess.run(["dpkg-deb", "-x", f"{part}/{file}", f"{part}/root"], check=True)
            return
        tried.append(f"{url}:\n{fetched.stdout}")
    raise SystemExit(
        f"{file} cannot be fetched: name a Debian mirror that still has it in DEBIAN_MIRROR\n" + "\n".join(tried)
    )


def debian_mirrors():
    """The mirror that DEBIAN_MIRROR names, and those this machine's apt uses."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )
    named = [os.environ["DEBIAN_MIRROR"]] if os.environ.get("DEBIAN_MIRROR") else []
    return list(dict.fromkeys(named + told.stdout.split()))
