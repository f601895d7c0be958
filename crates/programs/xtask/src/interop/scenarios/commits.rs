//! A commit, signed and verified in a fresh repository by configuration alone.

use anyhow::{Result, bail};

use crate::interop::{
    clients::gitsign::{self, Mode, SignedCommit},
    install::Tool,
    report::{self, Report},
    scene::{IDENTITY, STRANGER, Scene},
};

/// Online and offline: signed, verified by gitsign and by git, refused when changed.
pub(in crate::interop) fn by_gitsign(scene: &Scene<'_>, report: &mut Report) -> Result<()> {
    report::part("commits, by gitsign");
    for tool in [Tool::Gitsign, Tool::Git] {
        if let Some(why) = scene.clients.missing(tool) {
            report.skip("gitsign", &why);
            return Ok(());
        }
    }
    for mode in [Mode::Online, Mode::Offline] {
        let name = mode.name();
        let repository = gitsign::repository(scene, mode)?;
        let signed = report
            .step(&format!("{name}: git commit, signed"), || gitsign::commit(scene, &repository));
        if !signed {
            continue;
        }
        let verify = |commit: &str, identity: &str| {
            gitsign::verify(scene, &repository, SignedCommit { commit, identity })
        };
        report.step(&format!("{name}: gitsign verify"), || verify("HEAD", IDENTITY));
        report.step(&format!("{name}: git verify-commit"), || {
            gitsign::verify_commit(scene, &repository)
        });
        report.step(&format!("{name}: another identity is refused"), || {
            refused(&verify("HEAD", STRANGER))
        });
        let changed = gitsign::change(scene, &repository)?;
        report.step(&format!("{name}: a changed commit is refused"), || {
            refused(&verify(&changed, IDENTITY))
        });
    }
    Ok(())
}

fn refused(outcome: &Result<()>) -> Result<()> {
    if outcome.is_ok() {
        bail!("it was accepted");
    }
    Ok(())
}
