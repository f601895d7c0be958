//! Four processes of one deployment's logs, each with a machine's own data, on one PostgreSQL.

use std::{
    fmt::Write,
    fs::{self, File},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use e2e::{Database, Services, countersignd, free_port, said};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

pub(crate) const REPLICAS: usize = 4;

/// Whose way to the database can be cut.
const CUT: usize = 3;

/// Longest wait for a start, on a machine that runs other tests too.
const START_LIMIT: Duration = Duration::from_secs(90);

/// The deployment, and its processes.
pub(crate) struct Replicas {
    services: Services,
    /// Of Rekor v2, Rekor v1 and CT; where there is none any more, it was killed.
    running: Vec<([u16; 3], Option<Child>)>,
    cut: watch::Sender<bool>,
}

impl Replicas {
    /// Makes the deployment and starts all processes. Clients find the logs at `urls`; the CT log takes certificates of
    /// `ca`, PEM.
    pub(crate) async fn start(database: &Database, urls: [u16; 3], ca: &str) -> Self {
        let Database::Postgres { url } = database else { panic!("{database:?} is no server") };
        let (cut, is_cut) = watch::channel(false);
        let detour = detour(url, is_cut).await;
        let services = Services::new().unwrap();
        fs::write(services.path().join("ca.pem"), ca).unwrap();
        let mut replicas = Self { services, running: Vec::new(), cut };
        replicas.write_config(
            &replicas.directory(0),
            (url, urls),
            ([(); 3].map(|()| free_port()), free_port()),
        );
        fs::copy(replicas.config(0), replicas.services.config()).unwrap();
        let init = replicas.services.countersignd(&["init"]).unwrap();
        assert_eq!(init.code, Some(0), "{init:?}");
        for number in 0..REPLICAS {
            let directory = replicas.directory(number);
            let (ports, metrics) = ([(); 3].map(|()| free_port()), free_port());
            if number > 0 {
                let mut copy = Command::new("cp");
                copy.arg("-a").arg(replicas.directory(0)).arg(&directory);
                assert!(copy.status().unwrap().success());
            }
            let url = if number == CUT { &detour } else { url };
            replicas.write_config(&directory, (url, urls), (ports, metrics));
            let child = replicas.serve(number, metrics);
            replicas.running.push((ports, Some(child)));
        }
        replicas
    }

    /// Where each of them listens: of Rekor v2, Rekor v1 or CT.
    pub(crate) fn ports(&self, log: usize) -> Vec<u16> {
        self.running.iter().map(|(ports, _)| ports[log]).collect()
    }

    /// `kill -SIGNAL` of one of them.
    pub(crate) fn signal(&self, number: usize, signal: &str) {
        let (_, child) = &self.running[number];
        let kill = format!("kill -{signal} {}", child.as_ref().unwrap().id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub(crate) fn kill(&mut self, number: usize) {
        let mut child = self.running[number].1.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Cuts the way of [`CUT`] to the database, or joins it again.
    pub(crate) fn cut(&self, is_cut: bool) {
        self.cut.send_replace(is_cut);
    }

    /// Ends all and recomputes what is stored.
    pub(crate) fn end(mut self) {
        for number in 0..REPLICAS {
            if self.running[number].1.is_some() {
                self.kill(number);
            }
        }
        let fsck = self.services.countersignd(&["fsck", "log"]).unwrap();
        assert_eq!(fsck.code, Some(0), "{fsck:?}");
    }

    fn directory(&self, number: usize) -> PathBuf {
        self.services.path().join(format!("data-{number}"))
    }

    fn config(&self, number: usize) -> PathBuf {
        self.services.path().join(format!("data-{number}.toml"))
    }

    fn write_config(
        &self,
        directory: &Path,
        (database, urls): (&str, [u16; 3]),
        (ports, metrics): ([u16; 3], u16),
    ) {
        let (anchors, ca) =
            (self.services.path().join("anchors"), self.services.path().join("ca.pem"));
        let mut text = format!(
            "data_dir = \"{}\"\nanchors = [\"file:{}\"]\n[tenant.default]\norganization = \"Acme\"\n\
             [database]\nkind = \"postgres\"\nurl = \"{database}\"\n[listen.metrics_ports]\nlog = {metrics}\n\
             [ca.main]\nurl = \"http://localhost:5555\"\n[tsa.main]\nurl = \"http://localhost:3004\"\n\
             [trust.main]\nurl = \"http://localhost:3005\"\n[oidc-dev]\nurl = \"http://localhost:3006\"\n\
             [[ca.main.issuer]]\ntype = \"oidc-dev\"\ndevelopment = true\nurl = \"http://localhost:3006\"\n",
            directory.display(),
            anchors.display(),
        );
        let further = format!("\nfurther_ca_chains = [\"{}\"]", ca.display());
        let open = "\nwriters = \"open\"";
        let logs = [("2026", "rekor2", open), ("first", "rekor1", open), ("ct", "ct", &further)];
        for ((name, kind, more), (url, port)) in logs.into_iter().zip(urls.into_iter().zip(ports)) {
            writeln!(
                text,
                "[log.{name}]\nkind = \"{kind}\"\nurl = \"http://localhost:{url}\"\nport = {port}{more}"
            )
            .unwrap();
        }
        fs::write(directory.with_extension("toml"), text).unwrap();
    }

    fn serve(&self, number: usize, metrics: u16) -> Child {
        let log = self.services.path().join(format!("log-{number}.stderr"));
        let mut command = countersignd();
        command.args(["serve", "log", "--config"]).arg(self.config(number));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let (begin, url) = (Instant::now(), format!("http://127.0.0.1:{metrics}/readyz"));
        while said(countersignd().args(["probe", &url])).unwrap().code != Some(0) {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none() && begin.elapsed() < START_LIMIT,
                "{}",
                fs::read_to_string(&log).unwrap()
            );
        }
        child
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        for child in self.running.iter_mut().filter_map(|(_, child)| child.as_mut()) {
            // The test is over; one that is gone already is fine too.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The database's URL by way of a port of ours, which breaks all connections while it is cut.
async fn detour(url: &str, is_cut: watch::Receiver<bool>) -> String {
    let (user, rest) = url.rsplit_once('@').unwrap();
    let (server, name) = rest.split_once('/').unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let detour = format!("{user}@{}/{name}", listener.local_addr().unwrap());
    let server = server.to_owned();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let (server, mut is_cut) = (server.clone(), is_cut.clone());
            tokio::spawn(async move {
                if *is_cut.borrow() {
                    return;
                }
                let Ok(mut far) = TcpStream::connect(server).await else { return };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = is_cut.wait_for(|is_cut| *is_cut) => {}
                }
            });
        }
    });
    detour
}
