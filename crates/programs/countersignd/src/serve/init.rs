use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use crypto::{KeyType, LocalSigner, Signer};
use service::SystemClock;
use store::{LogStore, StoreError};

use super::{
    database,
    public::{PublicDir, identities},
    start::{load, log_signers, trust_files, tuf_keys},
};
use crate::{
    certificates::{ChainPlace, ca_chain, tsa_chain},
    cli::Part,
    config::{Config, Database, KeyFile},
    data_dir::{Access, DataDir, replace},
    deployment_dirs::{DeploymentDirs, open_to_others},
    keys::{self, load_or_make_file},
    output,
    services::{self, Shared},
};

/// `countersignd init`: makes what is missing and says what it made; what is there stays.
pub(crate) async fn init(secrets_only: bool, config: Config) -> anyhow::Result<ExitCode> {
    let dirs = DeploymentDirs::new(&config.data_dir);
    let shared = Shared::new(Arc::new(SystemClock));
    let init = Init { public: PublicDir::new(&dirs), config: &config, dirs, shared };
    for words in open_to_others(&config) {
        output::print(&format!("warning: {words}"));
    }
    init.directories()?;
    init.keys()?;
    if secrets_only {
        init.database_password()?;
        return Ok(ExitCode::SUCCESS);
    }
    init.logs().await?;
    init.trust().await?;
    init.propose_audience();
    Ok(ExitCode::SUCCESS)
}

struct Init<'a> {
    config: &'a Config,
    dirs: DeploymentDirs,
    public: PublicDir,
    shared: Shared,
}

impl Init<'_> {
    fn directories(&self) -> anyhow::Result<()> {
        for part in [Part::Ca, Part::Log, Part::Tsa, Part::Trust] {
            DataDir::create(&self.dirs.of(part))?;
        }
        if self.config.oidc_dev.is_some() {
            DataDir::create(&self.dirs.of(Part::OidcDev))?;
        }
        for (directory, mode) in [(self.dirs.public(), 0o755), (self.dirs.offline(), 0o700)] {
            let explain = || format!("cannot make the directory {}", directory.display());
            fs::create_dir_all(&directory).with_context(explain)?;
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode))
                .with_context(explain)?;
        }
        Ok(())
    }

    /// Keys, and certificates for them.
    fn keys(&self) -> anyhow::Result<()> {
        let config = self.config;
        let now = self.shared.clock.now().0;
        self.refuse_lost_chains()?;
        let ca_chain_file = self.public.chain_file("ca");
        let ca = made("the CA's key", &config.ca.key, ("ca", P256), &ca_chain_file)?;
        say_of("the CA's chain", &ca_chain_file, |_| {
            ca_chain(&self.chain_place("ca"), &ca, now).map(drop)
        })?;
        let tsa_chain_file = self.public.chain_file("tsa");
        let tsa = made("the TSA's key", &config.tsa.key, ("tsa", P256), &tsa_chain_file)?;
        say_of("the TSA's chain", &tsa_chain_file, |_| {
            tsa_chain(&self.chain_place("tsa"), &tsa, now).map(drop)
        })?;
        for (what, file, name, key_type) in [
            ("the CT log's key", &config.ct.key, "ct", P256),
            ("the Rekor v1 log's key", &config.rekor1.key, "rekor1", P256),
            ("its tiles' key", &config.rekor1_tiles_key, "rekor1-tiles", KeyType::Ed25519),
            ("the Rekor v2 log's key", &config.rekor2.key, "rekor2", KeyType::Ed25519),
        ] {
            let key = made(what, file, (name, key_type), &self.public.key_file(name))?;
            self.public.keep_key(name, key.public_key())?;
        }
        let (trust, root) = (&config.trust, self.dirs.tuf_root());
        let root = if root.exists() { root } else { self.public.root_file() };
        made("the TUF root's key", &trust.root_key, ("tuf-root", P256), &root)?;
        made("the TUF online key", &trust.online_key, ("tuf-online", P256), &root)?;
        if config.oidc_dev.is_some() {
            let file = KeyFile(self.dirs.key_file(Part::OidcDev, keys::OIDC));
            say_of("the development provider's key", &file.0, |path| {
                load_or_make_file(path, keys::OIDC, KeyType::Rsa2048).map(drop)
            })?;
        }
        Ok(())
    }

    /// Where there is a TUF repository, chains were published: new ones would be other authorities.
    fn refuse_lost_chains(&self) -> anyhow::Result<()> {
        let tuf_root = self.dirs.tuf_root();
        for chain_file in ["ca", "tsa"].map(|name| self.public.chain_file(name)) {
            if tuf_root.exists() && !chain_file.exists() {
                bail!(lost("a certificate chain", &chain_file, &tuf_root));
            }
        }
        Ok(())
    }

    /// Tokens to `sigstore` are tokens to every instance: whoever takes one there can use it here.
    fn propose_audience(&self) {
        let issuers = &self.config.ca.settings.issuers;
        let shared = issuers.iter().any(|issuer| {
            let audiences = issuer.audiences();
            audiences.iter().any(|audience| audience == wire::countersign::SIGSTORE_AUDIENCE)
        });
        let url = self.config.ca.url.to_string();
        if self.config.audience.is_none() && shared && url.starts_with("https://") {
            let proposal = format!(
                "`audience = \"{url}\"` in [tenant.<name>] would keep tokens for others out; \
                 now tokens to `sigstore` are taken"
            );
            say("an audience of the deployment's own", "none", &proposal);
        }
    }

    fn chain_place(&self, name: &str) -> ChainPlace<'_> {
        ChainPlace {
            chain_file: self.public.chain_file(name),
            root_key_file: self.dirs.offline().join(format!("{name}-root.pem")),
            organization: &self.config.organization,
        }
    }

    /// A password, for a database that is only about to be made.
    fn database_password(&self) -> anyhow::Result<()> {
        let Database::Postgres { password_file: Some(path), .. } = &self.config.database else {
            return Ok(());
        };
        say_of("the database's password", path, |path| {
            if path.exists() {
                return Ok(());
            }
            let password = hex::encode(crypto::random_bytes::<32>());
            // The database runs as another user; who may see the directory is what protects it.
            replace(path, password.as_bytes(), Access::Everybody)
        })
    }

    async fn logs(&self) -> anyhow::Result<()> {
        let store = match database::open(self.config, &self.dirs).await? {
            // SQLite, while the log runs: then there are logs.
            Err(StoreError::AlreadyOpen { .. }) if self.public.has_tree_id() => {
                say("the logs", "kept", "in use");
                return Ok(());
            }
            opened => opened.context("cannot open the log's database")?,
        };
        let outcome = self.logs_in(store.as_ref()).await;
        store.close().await;
        outcome
    }

    async fn logs_in(&self, store: &dyn LogStore) -> anyhow::Result<()> {
        let signers = log_signers(self.config, &self.public.material()?)?;
        let tree_id = rekor::tree_id(store, &self.config.rekor1.name).await?;
        // Before the log is there: a database that was lost is noticed here.
        self.public.check_tree_id(tree_id)?;
        let known = store.logs().await?;
        let logs = identities(self.config, tree_id);
        for (log, signer) in [
            (&logs.ct, &signers.ct),
            (&logs.rekor1, &signers.rekor1),
            (&logs.rekor2, &signers.rekor2),
        ] {
            let present = known.iter().any(|record| record.spec.name == log.name);
            let spec = log.spec(signer.public_key());
            store.ensure_log(&spec, self.shared.clock.now()).await?;
            let what = format!("the {} log `{}`", log.kind.as_str(), log.name);
            say(&what, if present { "kept" } else { "made" }, &spec.origin);
        }
        // Afterwards: a database that took no log is not the one to ask for ever.
        self.public.keep_tree_id(tree_id)
    }

    /// The TUF repository, whose root clients are given.
    async fn trust(&self) -> anyhow::Result<()> {
        let (tuf_dir, tuf_root) = (self.dirs.tuf(), self.dirs.tuf_root());
        if tuf_root.exists() {
            say("the TUF repository", "kept", &tuf_dir.display().to_string());
            return self.public.keep_root(
                &fs::read(&tuf_root)
                    .with_context(|| format!("cannot read {}", tuf_root.display()))?,
            );
        }
        if self.public.root_file().exists() {
            bail!(lost("the TUF repository", &tuf_root, &self.public.root_file()));
        }
        let files = trust_files(self.config, &self.public, &self.shared)?;
        let keys = tuf_keys(self.config)?;
        let trust = services::open_trust(&self.shared, &tuf_dir, keys, files).await?;
        let root = trust.repository.root_json();
        self.public.keep_root(&root)?;
        let digest = hex::encode(crypto::sha256(&root));
        say("the TUF repository", "made", &format!("root.json has the SHA-256 {digest}"));
        Ok(())
    }
}

const P256: KeyType = KeyType::EcdsaP256;

/// Makes a key, unless it is there or something was `published` with it already.
fn made(
    what: &str,
    file: &KeyFile,
    (name, key_type): (&str, KeyType),
    published: &Path,
) -> anyhow::Result<LocalSigner> {
    let KeyFile(path) = file;
    if published.exists() && !path.exists() {
        bail!(lost(what, path, published));
    }
    say_of(what, path, |path| load_or_make_file(path, name, key_type).map(drop))?;
    load(file, name, key_type)
}

fn lost(what: &str, path: &Path, published: &Path) -> String {
    let (path, published) = (path.display(), published.display());
    format!(
        "{what} is lost: {path} is missing, and {published} was made with it; restore it from a backup"
    )
}

/// Runs `make`, which leaves a file as it is where it is there, and says which was the case.
fn say_of(
    what: &str,
    path: &Path,
    make: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let present = path.exists();
    make(path)?;
    say(what, if present { "kept" } else { "made" }, &path.display().to_string());
    Ok(())
}

fn say(what: &str, happened: &str, detail: &str) {
    output::print(&format!("{happened}: {what}, {detail}"));
}
