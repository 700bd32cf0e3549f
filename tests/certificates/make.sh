#!/bin/sh
# Makes the certificates of the tests with OpenSSL 3. They protect nothing: their keys are public.
set -e
cd "$(dirname "$0")"
work=$(mktemp -d)
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }
authority() {
  key "$1"
  openssl req -x509 -new -key "$1.key" -out "$1.crt" -days 36500 -subj "/CN=$2"
}
# certificate NAME CA COMMON-NAME NAMES START END
certificate() {
  name=$1 ca=$2 common=$3 names=$4 start=$5 end=$6
  key "$name"
  openssl req -new -key "$name.key" -out "$work/csr" -subj "/CN=$common"
  : > "$work/index"
  cat > "$work/config" <<END
[ca]
default_ca=default
[default]
database=$work/index
new_certs_dir=$work
rand_serial=yes
default_md=sha256
policy=policy
x509_extensions=extensions
[policy]
commonName=supplied
[extensions]
basicConstraints=CA:FALSE
subjectAltName=$names
END
  openssl ca -batch -notext -config "$work/config" -cert "$ca.crt" -keyfile "$ca.key" -in "$work/csr" \
    -startdate "$start" -enddate "$end" -out "$name.crt" 2>/dev/null
}
authority ca "Veltix test CA"
authority other-ca "Another CA"
certificate server ca localhost "DNS:localhost,IP:127.0.0.1" 20260101000000Z 21250101000000Z
certificate renewed ca localhost "DNS:localhost,IP:127.0.0.1" 20260101000000Z 21250101000000Z
certificate expired ca localhost "DNS:localhost,IP:127.0.0.1" 20200101000000Z 20200201000000Z
certificate client ca "device 7" "DNS:device-7.example" 20260101000000Z 21250101000000Z
certificate stranger other-ca "device 7" "DNS:device-7.example" 20260101000000Z 21250101000000Z
# Names that hold what looks like another name.
key injected
openssl req -x509 -new -key injected.key -out injected-subject.crt -days 36500 \
  -subj "$(printf '/O=evil\nCN=admin/CN=dev')"
printf '[req]\ndistinguished_name=name\nx509_extensions=extensions\n[name]\n[extensions]\nsubjectAltName=@names\n' > "$work/alt"
printf '[names]\nDNS.1=dev, DNS:admin.example\nURI.1=http://x/, DNS:boss\n' >> "$work/alt"
openssl req -x509 -new -key injected.key -out injected-names.crt -days 36500 -subj "/CN=dev" -config "$work/alt"
for name in server-identity client-identity; do openssl genpkey -algorithm ed25519 -out "$name.pem"; done
rm -rf "$work" ca.key other-ca.key injected.key
# A curve without a name of NIST.
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1 -out curve.key 2>/dev/null
openssl req -x509 -new -key curve.key -out curve.crt -days 36500 -subj "/CN=device 7"
# Kinds of keys that TLS has on every runtime, and such that it has on some only.
kind() {
  name=$1
  shift
  openssl req -x509 -nodes -days 36500 -subj "/CN=localhost" -keyout "kind-$name.key" -out "kind-$name.crt" "$@" 2>/dev/null
}
kind rsa-2048 -newkey rsa:2048
kind p-384 -newkey ec -pkeyopt ec_paramgen_curve:P-384
kind p-521 -newkey ec -pkeyopt ec_paramgen_curve:P-521
kind ed25519 -newkey ed25519
kind rsa-1024 -newkey rsa:1024
kind rsa-pss -newkey rsa-pss -pkeyopt rsa_keygen_bits:2048
kind secp256k1 -newkey ec -pkeyopt ec_paramgen_curve:secp256k1
kind ed448 -newkey ed448
