//! Certificates that are good, and those that are not. The children are this same test binary: what is
//! trusted is read from the environment when the first request is made.

use std::fs;
use std::path::Path;
use std::process::Command;

use lucid_tools::Limits;

use crate::Rig;
use crate::server::Nginx;

/// The addresses of the servers, in the order of [`NAMES`].
const ADDRESSES: &str = "LUCID_TEST_TLS_SERVERS";
/// The certificates, each of a server of its own.
const NAMES: [&str; 5] = ["good", "expired", "early", "other", "own"];

/// How openssl signs them.
const AUTHORITY: &str = "[ca]\ndefault_ca = all\n[all]\ndatabase = index.txt\nnew_certs_dir = .\n\
    rand_serial = yes\ndefault_md = sha256\npolicy = any\ncopy_extensions = copy\n\
    [any]\ncommonName = supplied\n";

#[test]
fn a_certificate_has_to_be_good() {
    let servers: String = NAMES
        .iter()
        .enumerate()
        .map(|(n, name)| {
            format!(
                "server {{ listen @{n}@ ssl; ssl_certificate certificates/{name}.pem; \
                 ssl_certificate_key certificates/{name}.key; location / {{ return 200 'over tls'; }} \
                 location = /down {{ return 302 http://@5@/; }} }}\n"
            )
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    sign(folder.path());
    let servers = format!("{servers} server {{ listen @5@; }}")
        .replace("certificates/", &format!("{}/", folder.path().display()));
    let Some(nginx) = Nginx::start(&servers, &[]) else { return };
    let addresses: Vec<String> = (0..=NAMES.len()).map(|n| nginx.address(n)).collect();
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["tls::child_asks_all_of_them", "--exact", "--ignored", "--nocapture"])
        .env(ADDRESSES, addresses.join(" "))
        .env("SSL_CERT_FILE", folder.path().join("authority.pem"))
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // The authority of this test is nobody's elsewhere.
    let rig = Rig::new(&addresses, Limits::default());
    rig.fails(&format!("https://{}/", addresses[0]), &["is not trusted", "no authority"]);
}

#[test]
#[ignore = "the child of the test above"]
fn child_asks_all_of_them() {
    let addresses: Vec<String> = std::env::var(ADDRESSES).unwrap().split(' ').map(str::to_owned).collect();
    let rig = Rig::new(&addresses, Limits::default());
    let url = |name: &str, path: &str| {
        let n = NAMES.iter().position(|known| *known == name).unwrap();
        format!("https://{}{path}", addresses[n])
    };
    assert_eq!(rig.get(&url("good", "/")).unwrap(), "over tls");
    rig.fails(&url("good", "/down"), &["is not trusted", "redirects from https to http"]);
    rig.fails(&url("expired", "/"), &["is not trusted", "has expired"]);
    rig.fails(&url("early", "/"), &["is not trusted", "not valid yet"]);
    rig.fails(&url("other", "/"), &["is not trusted", "another name"]);
    rig.fails(&url("own", "/"), &["is not trusted", "no authority"]);
    // Who speaks plainly where TLS is spoken, and the other way round.
    rig.fails(&url("good", "/").replace("https:", "http:"), &["HTTP 400"]);
    rig.fails(&format!("https://{}/", addresses[NAMES.len()]), &["127.0.0.1"]);
}

/// Makes an authority and the certificates in this folder.
fn sign(folder: &Path) {
    let openssl = |arguments: &[&str]| {
        let out = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
        assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let own = |name: &str, subject: &str| {
        let (key_file, file) = (format!("{name}.key"), format!("{name}.pem"));
        let made = ["req", "-x509", "-days", "30", "-subj", subject, "-keyout", &key_file, "-out", &file];
        openssl(&[&made[..], &key, &["-addext", "subjectAltName=IP:127.0.0.1"]].concat());
    };
    fs::write(folder.join("ca.cnf"), AUTHORITY).unwrap();
    fs::write(folder.join("index.txt"), "").unwrap();
    own("authority", "/CN=Authority of a test");
    own("own", "/CN=127.0.0.1");
    for (name, begins, ends, holder) in [
        ("good", "20200101000000Z", "20991231000000Z", "IP:127.0.0.1"),
        ("expired", "20200101000000Z", "20200201000000Z", "IP:127.0.0.1"),
        ("early", "20980101000000Z", "20991231000000Z", "IP:127.0.0.1"),
        ("other", "20200101000000Z", "20991231000000Z", "DNS:example.org"),
    ] {
        let (key_file, request, file) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let (subject, holder) = (format!("/CN={name}"), format!("subjectAltName={holder}"));
        let asked = ["req", "-keyout", &key_file, "-out", &request, "-subj", &subject, "-addext", &holder];
        openssl(&[&asked[..], &key].concat());
        openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-config",
            "ca.cnf",
            "-cert",
            "authority.pem",
            "-keyfile",
            "authority.key",
            "-in",
            &request,
            "-out",
            &file,
            "-startdate",
            begins,
            "-enddate",
            ends,
        ]);
    }
}
