//! A registry of our own, and an image that no container runtime made.

use std::{
    fs::{self, File},
    io::Read,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{
    interop::{install::Tool, scene::Scene},
    process::{Guarded, output},
};

/// Longest wait for the registry to listen.
const START_LIMIT: Duration = Duration::from_secs(20);

/// `docker-registry serve` on a free loopback port, with its blobs under the work directory.
pub(in crate::interop) struct Registry {
    /// `localhost:PORT`
    pub(in crate::interop) authority: String,
    _server: Guarded,
}

impl Registry {
    pub(in crate::interop) fn start(scene: &Scene<'_>) -> Result<Self> {
        let directory = scene.directory("registry")?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let configuration = directory.join("config.yml");
        fs::write(
            &configuration,
            format!(
                "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
                 http:\n  addr: 127.0.0.1:{port}\n",
                directory.join("blobs").display()
            ),
        )?;
        let log = File::create(directory.join("log"))?;
        let child = Command::new(scene.clients.path(Tool::Registry)?)
            .arg("serve")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start docker-registry")?;
        let mut server = Guarded(child);
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if server.0.try_wait()?.is_some() || begin.elapsed() > START_LIMIT {
                let mut said = String::new();
                File::open(directory.join("log"))?.read_to_string(&mut said)?;
                bail!("docker-registry does not listen:\n{said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { authority: format!("localhost:{port}"), _server: server })
    }

    /// Pushes an image of one empty layer into `repository`, with a configuration that names it, so
    /// that no two repositories hold the same image. Gives its reference by digest.
    pub(in crate::interop) fn push(&self, scene: &Scene<'_>, repository: &str) -> Result<String> {
        let directory = scene.directory(&format!("images/{repository}"))?;
        let layer = directory.join("layer");
        // A tar archive of nothing is two blocks of zeros.
        fs::write(&layer, [0; 1024])?;
        let config = directory.join("config");
        let description = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"name": repository}},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)?]}
        });
        fs::write(&config, description.to_string())?;
        let manifest = directory.join("manifest");
        let part = |media_type: &str, path: &Path| -> Result<_> {
            let size = fs::metadata(path)?.len();
            Ok(json!({"mediaType": media_type, "size": size, "digest": digest(path)?}))
        };
        let text = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": part("application/vnd.oci.image.config.v1+json", &config)?,
            "layers": [part("application/vnd.oci.image.layer.v1.tar", &layer)?]
        });
        fs::write(&manifest, text.to_string())?;
        let base = format!("http://{}/v2/{repository}", self.authority);
        for blob in [&layer, &config] {
            push_blob(scene, &base, blob)?;
        }
        let mut put = curl(scene)?;
        put.args(["-X", "PUT", "-H", &format!("Content-Type: {MANIFEST}"), "--data-binary"]);
        put.arg(format!("@{}", manifest.display())).arg(format!("{base}/manifests/1.0"));
        output(&mut put)?;
        Ok(format!("{}/{repository}@{}", self.authority, digest(&manifest)?))
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn curl(scene: &Scene<'_>) -> Result<Command> {
    let mut curl = scene.command(Tool::Curl, "curl")?;
    curl.args(["--silent", "--show-error", "--fail"]);
    Ok(curl)
}

/// POST for a place, PUT into it.
fn push_blob(scene: &Scene<'_>, base: &str, blob: &Path) -> Result<()> {
    let begun = output(curl(scene)?.args(["-X", "POST", "-D", "-", "-o", "/dev/null"]).args([
        "-H",
        "Content-Length: 0",
        &format!("{base}/blobs/uploads/"),
    ]))?;
    let place = begun
        .lines()
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("location").then(|| value.trim())
        })
        .context("the registry named no place for a blob")?;
    let mut put = curl(scene)?;
    put.args(["-X", "PUT", "-H", "Content-Type: application/octet-stream", "--data-binary"]);
    put.arg(format!("@{}", blob.display())).arg(format!("{place}&digest={}", digest(blob)?));
    output(&mut put).map(drop)
}

fn digest(path: &Path) -> Result<String> {
    let said = output(Command::new("sha256sum").arg(path))?;
    let hex = said.split_whitespace().next().context("sha256sum printed nothing")?;
    Ok(format!("sha256:{hex}"))
}
