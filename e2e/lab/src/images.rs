//! Images of our own static binaries, FROM scratch, brought into the clusters without a registry and addressed by digest.

use std::{collections::BTreeMap, env::consts::ARCH, fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;

use crate::{
    cluster::Cluster,
    docker::Docker,
    paths,
    progress::step,
    run::Run,
    state::{Image, Lab},
};

/// A release build of all dependencies, on a busy machine.
const BUILD_TIMEOUT: Duration = Duration::from_secs(3600);
/// For moving one image.
const LOAD_TIMEOUT: Duration = Duration::from_secs(120);
/// An image must stay below this, in bytes.
pub const MAX_SIZE: u64 = 30_000_000;
/// Root certificates for outgoing TLS, from this host.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A binary that becomes an image.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// Name of binary and image.
    pub name: &'static str,
    /// What it is built from; images have no feature that another package asks for.
    package: &'static str,
    /// Into which clusters it goes.
    place: fn(&Lab) -> Vec<&Cluster>,
}

/// What the clusters of the main job run.
pub const WORKLOADS: [Workload; 4] = [
    Workload { name: "multisig-operator", package: "multisig-operator", place: |lab| vec![&lab.hub] },
    Workload { name: "app", package: "app", place: |lab| vec![&lab.hub] },
    Workload { name: "keeper", package: "signer-workload", place: |lab| vec![&lab.dc_a] },
    Workload { name: "cooler", package: "signer-workload", place: |lab| vec![&lab.dc_b] },
];

/// What `lab check` runs.
pub const PROBE: Workload = Workload { name: "lab-probe", package: "lab-probe", place: |lab| lab.clusters().into() };

/// Builds these and loads each into its clusters. The lab's state then names them.
pub async fn load(lab: &mut Lab, workloads: &[Workload]) -> Result<()> {
    let names: Vec<&str> = workloads.iter().map(|workload| workload.name).collect();
    step(&format!("building {} (static, release)", names.join(", ")), compile(workloads)).await?;
    let loads = workloads.iter().map(|workload| step_load(lab, *workload));
    let images: BTreeMap<String, Image> = try_join_all(loads).await?.into_iter().collect();
    lab.images.extend(images);
    lab.save()
}

async fn step_load(lab: &Lab, workload: Workload) -> Result<(String, Image)> {
    let image = step(&format!("loading the image {}", workload.name), load_one(lab, workload)).await?;
    Ok((workload.name.to_owned(), image))
}

async fn load_one(lab: &Lab, workload: Workload) -> Result<Image> {
    let built = build(&lab.docker, workload.name).await?;
    ensure!(built.size < MAX_SIZE, "the image {} has {} bytes, over the limit of {MAX_SIZE}", built.name, built.size);
    let loads = (workload.place)(lab).into_iter().map(|cluster| import(&lab.docker, cluster, workload.name, &built));
    let references = try_join_all(loads).await?;
    let reference = references.first().with_context(|| format!("{} has no place", workload.name))?.clone();
    ensure!(references.iter().all(|other| *other == reference), "{} has two digests: {references:?}", workload.name);
    Ok(Image { reference, size: built.size })
}

/// An image in the daemon, its tag made of its content.
struct Built {
    name: String,
    size: u64,
}

fn target() -> String {
    format!("{ARCH}-unknown-linux-gnu")
}

async fn compile(workloads: &[Workload]) -> Result<()> {
    let target = target();
    let mut args = vec!["build", "--quiet", "--locked", "--release", "--target", &target];
    args.extend(workloads.iter().flat_map(|workload| ["--package", workload.package, "--bin", workload.name]));
    Run::new("cargo")
        .args(args)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .folder(&harness::servers::repository())
        .timeout(BUILD_TIMEOUT)
        .show_progress()
        .done()
        .await
}

async fn build(docker: &Docker, name: &str) -> Result<Built> {
    let context = tempfile::tempdir_in(paths::folder())?;
    let recipe = fs::read_to_string(paths::source_folder().join("images/Dockerfile"))?;
    fs::write(context.path().join("Dockerfile"), recipe.replace("BINARY", name))?;
    fs::copy(ROOTS, context.path().join("ca-certificates.crt"))
        .with_context(|| format!("{ROOTS} is missing: install ca-certificates"))?;
    let folder = harness::servers::repository().join("target").join(target()).join("release");
    fs::copy(folder.join(name), context.path().join(name)).with_context(|| format!("{name} was not built"))?;

    let latest = format!("local/{name}:latest");
    let path = context.path().to_string_lossy();
    docker.run(["build", "--quiet", "--tag", &latest, &path]).timeout(LOAD_TIMEOUT).done().await?;
    let found = docker.run(["image", "inspect", "--format", "{{.Id}} {{.Size}}", &latest]).text().await?;
    let (id, size) = found.split_once(' ').context("docker says neither id nor size")?;
    let tag: String = id.trim_start_matches("sha256:").chars().take(16).collect();
    let name = format!("local/{name}:{tag}");
    docker.run(["tag", &latest, &name]).done().await?;
    remove_others(docker, &name).await?;
    Ok(Built { name, size: size.parse()? })
}

/// Removes earlier versions of an image from the daemon; nodes have their own copies.
async fn remove_others(docker: &Docker, name: &str) -> Result<()> {
    let repository = name.split(':').next().unwrap_or(name);
    let tags = docker.run(["images", "--format", "{{.Repository}}:{{.Tag}}", repository]).text().await?;
    for other in tags.lines().filter(|tag| *tag != name && !tag.ends_with(":latest")) {
        docker.run(["rmi", other]).done().await?;
    }
    Ok(())
}

/// Brings an image into a node's containerd, unless it is there, under a name with its digest.
async fn import(docker: &Docker, cluster: &Cluster, name: &str, built: &Built) -> Result<String> {
    let full = format!("docker.io/{}", built.name);
    let digest = match digest(docker, cluster, &full).await? {
        Some(digest) => digest,
        None => {
            copy(docker, cluster, &built.name).await?;
            digest(docker, cluster, &full)
                .await?
                .with_context(|| format!("{full} did not arrive in {}", cluster.name))?
        }
    };
    let reference = format!("docker.io/local/{name}@{digest}");
    ctr(docker, cluster, &["images", "tag", "--force", &full, &reference]).done().await?;
    Ok(reference)
}

async fn copy(docker: &Docker, cluster: &Cluster, name: &str) -> Result<()> {
    let folder = tempfile::tempdir_in(paths::folder())?;
    let file = folder.path().join("image.tar");
    save(docker, name, &file).await?;
    let import = ctr(docker, cluster, &["images", "import", "-"]);
    import.input_file(fs::File::open(&file)?).timeout(LOAD_TIMEOUT).done().await
}

async fn save(docker: &Docker, name: &str, file: &Path) -> Result<()> {
    docker.run(["save", "--output", &file.to_string_lossy(), name]).timeout(LOAD_TIMEOUT).done().await
}

/// Digest of an image in a node, `None` where it isn't.
async fn digest(docker: &Docker, cluster: &Cluster, name: &str) -> Result<Option<String>> {
    let list = ctr(docker, cluster, &["images", "ls", &format!("name=={name}")]).text().await?;
    Ok(list.split_whitespace().find(|word| word.starts_with("sha256:")).map(str::to_owned))
}

fn ctr(docker: &Docker, cluster: &Cluster, args: &[&str]) -> Run {
    docker.run(["exec", "--interactive", &cluster.node, "ctr", "--namespace=k8s.io"]).args(args)
}
