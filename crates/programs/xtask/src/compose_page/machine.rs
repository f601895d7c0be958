//! Whoever types: what is typed, what it said, and what must be true afterwards.

use std::{
    cell::{Cell, RefCell},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    ground::{Compose, Ground},
    table::{PLACEHOLDERS, ROWS},
};

/// How long a command may take; one that waits for ever is a fault of the page.
const PATIENCE: &str = "900";

/// Containers that run on.
pub(crate) const RUNNING: [&str; 6] = ["postgres", "log", "ca", "tsa", "trust", "oidc-dev"];

/// A command's end.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

/// A reader at a terminal.
pub(crate) struct Machine {
    pub(crate) ground: Ground,
    /// Where the checkout lies that is in use.
    checkout: RefCell<PathBuf>,
    /// What was exported, for what is typed later.
    exported: RefCell<String>,
    /// Artifacts whose signatures must verify for ever.
    signed: Cell<u32>,
}

impl Machine {
    pub(crate) fn new(ground: Ground) -> Self {
        let checkout = RefCell::new(ground.path("checkout"));
        Self { ground, checkout, exported: RefCell::default(), signed: Cell::new(0) }
    }

    pub(crate) fn checkout(&self) -> PathBuf {
        self.checkout.borrow().clone()
    }

    /// Goes on in another directory.
    pub(crate) fn go_to(&self, checkout: PathBuf) {
        *self.checkout.borrow_mut() = checkout;
    }

    /// Types a command of the page, with the reader's own in the place of what stands for it.
    pub(crate) fn page(&self, text: &str) -> Result<Said> {
        ensure!(ROWS.iter().any(|row| row.text == text), "`{text}` is not on the page");
        let mut text = text.to_owned();
        let mut search_path = String::new();
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            // Of a crontab: five fields, and the path that stands above them.
            text = text.splitn(6, ' ').nth(5).unwrap_or_default().to_owned();
            search_path = match self.ground.compose {
                Compose::One => "PATH=/usr/local/bin:/usr/bin:/bin\n".to_owned(),
                Compose::Two => format!("PATH={}\n", self.ground.search_path()),
            };
        }
        for (placeholder, own) in PLACEHOLDERS {
            text = text.replace(placeholder, own);
        }
        if let Some(export) = text.strip_prefix("export ") {
            self.exported.borrow_mut().push_str(&["export ", export, "\n"].concat());
        }
        self.say(&(search_path + &text))
    }

    /// The same; it must end with 0.
    pub(crate) fn page_ok(&self, text: &str) -> Result<String> {
        ended_well(text, self.page(text)?)
    }

    /// Types something else.
    pub(crate) fn say(&self, text: &str) -> Result<Said> {
        let text = match self.ground.compose {
            Compose::One => text.to_owned(),
            Compose::Two => text.replace("docker-compose ", "docker compose "),
        };
        println!("  $ {text}");
        let begin = Instant::now();
        let typed = self.ground.path("typed");
        fs::write(&typed, format!("{}{text}\n", self.exported.borrow()))?;
        let mut command = self.ground.command("timeout");
        command.args(["--kill-after=5", PATIENCE]);
        // What a container is typed into wants a terminal.
        if wants_terminal(&text) {
            command.args(["script", "--quiet", "--return", "--command"]);
            command.arg(format!("sh {}", typed.display())).arg("/dev/null");
        } else {
            command.arg("sh").arg(&typed);
        }
        command.env("CHECKOUT", self.checkout()).current_dir(self.checkout());
        let output = command.output().with_context(|| format!("cannot type {text}"))?;
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        let said =
            Said { code: output.status.code(), text: format!("{out}{err}").replace('\r', "") };
        let end = said.code.map_or_else(|| "killed".to_owned(), |code| code.to_string());
        println!("    ended with {end} after {:.1} s", begin.elapsed().as_secs_f64());
        Ok(said)
    }

    /// Types something else, which must end with 0.
    pub(crate) fn ok(&self, text: &str) -> Result<String> {
        ended_well(text, self.say(text)?)
    }

    /// Types something that must fail, and say these words.
    pub(crate) fn refused(&self, text: &str, words: &[&str]) -> Result<String> {
        let said = self.say(text)?;
        ensure!(said.code != Some(0), "`{text}` ended with 0:\n{}", said.text);
        has_words(text, &said.text, words)?;
        Ok(said.text)
    }

    /// Waits until every container that runs on is healthy.
    pub(crate) fn healthy(&self) -> Result<()> {
        let all = || RUNNING.iter().all(|service| self.health(service) == "healthy");
        until(Duration::from_mins(4), all).with_context(|| {
            let state = RUNNING.map(|service| format!("{service}: {}", self.health(service)));
            let logs = self.say("docker-compose logs --tail=15").map(|said| said.text);
            format!("not healthy: {}\n{}", state.join(", "), logs.unwrap_or_default())
        })
    }

    /// The same, for a shorter time: something has failed already.
    pub(crate) fn comes_back(&self) -> Result<()> {
        let all = || {
            RUNNING.iter().all(|service| ["healthy", ""].contains(&self.health(service).as_str()))
        };
        until(Duration::from_secs(45), all)
    }

    /// Waits until a container is `state`.
    pub(crate) fn becomes(&self, service: &str, state: &str) -> Result<()> {
        until(Duration::from_mins(4), || self.health(service) == state)
            .with_context(|| format!("{service} is {}, not {state}", self.health(service)))
    }

    /// What docker says of a service's container.
    pub(crate) fn health(&self, service: &str) -> String {
        let format = "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}";
        self.inspect(service, format)
    }

    /// A fact of a service's container.
    pub(crate) fn inspect(&self, service: &str, format: &str) -> String {
        let filter = format!(
            "docker ps --all --quiet --filter label=com.docker.compose.project=countersign \
             --filter label=com.docker.compose.oneoff=False --filter label=com.docker.compose.service={service} \
             | xargs --no-run-if-empty docker inspect --format '{format}'"
        );
        let output = self.ground.command("sh").args(["-c", &filter]).output();
        output
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .unwrap_or_default()
    }

    /// Signs something new with a new token; it must verify from now on.
    pub(crate) fn signs(&self) -> Result<()> {
        let name = self.sign()?;
        let number = name.trim_start_matches("artifact-").parse()?;
        self.signed.set(number);
        self.verifies()
    }

    /// Signs, and forgets of it.
    pub(crate) fn sign(&self) -> Result<String> {
        let name = format!("artifact-{}", self.signed.get() + 1);
        let work = self.ground.path("home").display().to_string();
        self.ok(&format!(
            "docker-compose exec -T oidc-dev countersignd token --email you@example.com > {work}/token && \
             echo {name} > {work}/{name} && rm -f {work}/{name}.sigstore.json && \
             countersign sign --identity-token @{work}/token {work}/{name}"
        ))?;
        Ok(name)
    }

    /// Everything that was signed verifies.
    pub(crate) fn verifies(&self) -> Result<()> {
        let work = self.ground.path("home").display().to_string();
        self.ok(&format!(
            "for number in $(seq {}); do countersign verify --certificate-identity you@example.com \
             --certificate-oidc-issuer http://localhost:3006 {work}/artifact-$number || exit 1; done",
            self.signed.get()
        ))
        .map(drop)
    }

    /// Everything answers, signs, and has all that was signed.
    pub(crate) fn goes_on_whole(&self) -> Result<()> {
        self.healthy()?;
        self.signs()?;
        self.whole()
    }

    /// The logs hold what they hold, to the last entry.
    pub(crate) fn whole(&self) -> Result<()> {
        self.ok("docker-compose exec -T log countersignd fsck log --config /etc/countersign/countersign.toml")
            .map(drop)
    }

    /// The directory of a volume, on this machine.
    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        self.ground.volume(name)
    }

    /// Waits until a service says that it is not ready, and gives what it says.
    pub(crate) fn unready(&self, service: &str) -> Result<String> {
        let says = || self.readyz(service).is_ok_and(|said| said.code != Some(0));
        until(Duration::from_mins(2), says)
            .with_context(|| format!("{service} says that it is ready"))?;
        Ok(self.readyz(service)?.text)
    }

    /// What `/readyz` of a service says, asked in its container's network.
    pub(crate) fn readyz(&self, service: &str) -> Result<Said> {
        self.say(&format!(
            "docker-compose exec -T {service} countersignd probe http://127.0.0.1:3007/readyz"
        ))
    }
}

fn wants_terminal(text: &str) -> bool {
    let in_container = text.contains("compose exec ") || text.contains("compose run ");
    in_container && !text.contains(" -T ") && !text.contains("> ")
}

fn ended_well(text: &str, said: Said) -> Result<String> {
    if said.code != Some(0) {
        bail!("`{text}` ended with {:?}:\n{}", said.code, said.text);
    }
    Ok(said.text)
}

/// Each of the words is in what was said.
pub(crate) fn has_words(text: &str, said: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(said.contains(word), "`{text}` did not say {word:?}:\n{said}");
    }
    Ok(())
}

/// Waits for something.
pub(crate) fn until(limit: Duration, done: impl Fn() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !done() {
        ensure!(begin.elapsed() < limit, "not within {} s", limit.as_secs());
        std::thread::sleep(Duration::from_millis(250));
    }
    Ok(())
}

/// Writes a file as its owner's user.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
