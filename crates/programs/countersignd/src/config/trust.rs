//! `[trust.<name>]`: the trust files of a tenant.

use crypto::KeyType;
use trust::State;
use wire::countersign::Forge;

use super::{
    common::{Around, Table},
    section::Section,
    values::LoginUrl,
};
use crate::{
    cli::Part,
    deployment::{Kind, Repository},
};

/// A repository and the table that it is from.
pub(super) struct OpenRepository<'p> {
    pub(super) repository: Repository,
    pub(super) section: Section<'p>,
}

pub(super) fn read<'p>(
    file: &mut Section<'p>,
    around: &Around<'_, '_>,
) -> Vec<Option<OpenRepository<'p>>> {
    Table::all(file, Kind::Trust).into_iter().map(|table| one(table, around)).collect()
}

fn one<'p>(mut table: Table<'p>, around: &Around<'_, '_>) -> Option<OpenRepository<'p>> {
    let (dirs, stem) = (around.dirs, table.stem());
    let service = table.service(around);
    let state = service.as_ref().map_or(State::Active, |service| service.state);
    if state == State::Frozen {
        let why = "a repository that is served is signed anew: it is `active`, or `retired`";
        table.section.wrong("state", why);
    }
    let mut key = |setting, ending: &'static str| {
        let name =
            format!("{}{ending}", if table.key_name() == "trust" { "tuf" } else { &table.name });
        table.key(setting, (name, KeyType::EcdsaP256), dirs.key_file(Part::Trust, &stem, ending))
    };
    let (root_key, online_key) = (key("root_key", "-root"), key("online_key", "-online"));
    let section = &mut table.section;
    let login = section.has("oidc_url").then(|| section.parsed::<LoginUrl>("oidc_url"));
    let provider = around.provider.map(str::to_owned);
    let oidc_url = login.map_or(provider, |login| login.map(|LoginUrl(url)| url));
    if oidc_url.is_none() {
        section.wrong("oidc_url", "is missing: the identity provider that people log in to");
    }
    let forge = forge(section);
    section.end();
    let repository = Repository {
        service: service?,
        root_key: root_key?,
        online_key: online_key?,
        tuf_dir: dirs.tuf(&stem),
        first_root_file: Some(dirs.first_root_file(&stem)),
        files_dir: None,
        oidc_url: oidc_url?,
        forge,
    };
    Some(OpenRepository { repository, section: table.section })
}

/// The forge of names without a host, and its kind where the host does not tell.
fn forge(section: &mut Section<'_>) -> Option<Forge> {
    let (url, kind) = (section.text("forge"), section.text("forge_kind"));
    let Some(url) = url else {
        if kind.is_some() {
            section.wrong("forge_kind", "is of no use without `forge`");
        }
        return None;
    };
    let forge = Forge { url, kind };
    if let Some(finding) = trust::lint::forge(&forge) {
        section.wrong("forge", finding);
    }
    Some(forge)
}
