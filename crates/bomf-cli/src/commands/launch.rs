//! `bomf launch`.

use super::Context;
use crate::args::{
    CrewArgs, LaunchArgs, LaunchKubernetesArgs, LaunchRayArgs, LaunchSlurmArgs, Launcher,
};
use crate::failure::Failure;
use bomf::launch::{
    KubernetesRequest, LaunchOutcome, LaunchRequest, Manifest, RayRequest, SlurmRequest,
};
use std::path::Path;
use std::str::FromStr;

pub fn command(args: LaunchArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    match args.launcher {
        Launcher::Slurm(args) => slurm(args, context),
        Launcher::Ray(args) => ray(args, context),
        Launcher::Kubernetes(args) => kubernetes(args, context),
    }
}

fn slurm(args: LaunchSlurmArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = SlurmRequest {
        workers: crew(here(args.crew)?, program(args.bomf)?, context)?,
        time: args.time,
        partition: args.partition,
        options: args.options,
    };
    if args.dry_run {
        let script = bomf::launch::slurm_script(&request)?;
        let outcome = serde_json::json!({"script": script});
        return context.tell(&outcome, |_| script.clone());
    }
    let outcome = bomf::launch::slurm(&request, &mut context.progress)?;
    context.tell(&outcome, ids)
}

fn ray(args: LaunchRayArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = RayRequest {
        workers: crew(here(args.crew)?, program(args.bomf)?, context)?,
        address: args.address,
    };
    let outcome = bomf::launch::ray(&request, &mut context.progress)?;
    context.tell(&outcome, ids)
}

fn kubernetes(args: LaunchKubernetesArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let request = KubernetesRequest {
        workers: crew(args.crew, args.bomf, context)?,
        image: args.image,
        claims: args
            .claim
            .iter()
            .map(|claim| read(claim))
            .collect::<Result<_, _>>()?,
        secret: args.secret.as_deref().map(read).transpose()?,
    };
    let manifest = bomf::launch::kubernetes(&request, &mut context.progress)?;
    context.tell(&manifest, Manifest::to_yaml)
}

fn crew(args: CrewArgs, program: String, context: &Context<'_>) -> Result<LaunchRequest, Failure> {
    Ok(LaunchRequest {
        study: args.study,
        workers: args.workers,
        cpus: args.cpus,
        threads: context.global.threads,
        memory: args.memory.as_deref().map(read).transpose()?,
        gpus: args.gpus,
        name: args.name,
        program,
        model: args.model,
        data: args.data.map(|data| data.display().to_string()),
    })
}

/// Reads a value whose error has a hint.
fn read<T: FromStr<Err = bomf::launch::LaunchError>>(text: &str) -> Result<T, Failure> {
    text.parse()
        .map_err(|error| bomf::Error::from(error).into())
}

/// The paths of this host, as they are found from any working directory.
fn here(args: CrewArgs) -> Result<CrewArgs, Failure> {
    let model = match args.model {
        Some(model) if Path::new(&model).is_dir() => Some(absolute(&model)?),
        model => model,
    };
    let data = args.data.map(std::path::absolute).transpose();
    let data = data.map_err(|source| Failure::Read {
        path: "the working directory".into(),
        source,
    })?;
    Ok(CrewArgs {
        model,
        data,
        ..args
    })
}

/// Where `bomf` lies, there as here unless it is said.
fn program(given: Option<String>) -> Result<String, Failure> {
    match given {
        // A bare name is looked for there.
        Some(name) if !name.contains('/') => Ok(name),
        Some(path) => absolute(&path),
        None => {
            let own = std::env::current_exe();
            Ok(own.map_or_else(|_| "bomf".into(), |own| own.display().to_string()))
        }
    }
}

fn absolute(path: &str) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(|source| Failure::Read {
        path: path.into(),
        source,
    })?;
    Ok(absolute.display().to_string())
}

/// What jobs are watched and ended by, a line each.
fn ids(outcome: &LaunchOutcome) -> String {
    let ids: Vec<&str> = outcome.jobs.iter().map(|job| job.id.as_str()).collect();
    ids.join("\n")
}
