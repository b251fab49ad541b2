"""What a training script needs to be a trainer of bomf's: settings in, metrics out.

bomf starts the command of the recipe's `trainer` section once for each trial of stage 1 and
once for the full run. It tells the script what to do in a JSON file ($BOMF_CONFIG), and reads
JSON lines that the script writes to $BOMF_METRICS. The script leaves `checkpoint-<step>` folders
in $BOMF_OUTPUT; those of trials are thrown away. Copy this file beside your script; it needs
nothing but Python, and `Report` needs transformers.
"""

import json
import math
import os


class Settings:
    """What bomf asks for: `settings.learning_rate` and so on, by the recipe's names.

    `mode` is "trial" or "finetune"; `resume` says that an earlier try was broken off and may
    have left checkpoints in `output`.
    """

    def __init__(self, path=None):
        with open(path or os.environ["BOMF_CONFIG"], encoding="utf-8") as file:
            given = json.load(file)
        for name in ("mode", "trial", "model", "data", "output", "seed", "resume"):
            setattr(self, name, given[name])
        self.hyperparameters = given["hyperparameters"]

    def __getattr__(self, name):
        try:
            return self.__dict__["hyperparameters"][name]
        except KeyError:
            raise AttributeError(f"bomf's recipe has no value for `{name}`") from None

    def get(self, name, default=None):
        """A hyperparameter, or `default` where the recipe leaves it open."""
        return self.hyperparameters.get(name, default)


def report(step, **metrics):
    """Tells bomf of metrics after `step` optimiser steps, such as `eval_accuracy=0.88`."""
    line = json.dumps({"step": step, **metrics})
    with open(os.environ["BOMF_METRICS"], "a", encoding="utf-8") as file:
        file.write(line + "\n")


def training_arguments(settings, steps_per_epoch, **own):
    """The settings as keyword arguments of transformers' `TrainingArguments`.

    Evaluates and saves as often in each epoch as the recipe says; trials save nothing. What is
    given in `own` has the last word.
    """
    every = max(1, steps_per_epoch // settings.evaluations_per_epoch)
    schedule = settings.schedule
    arguments = {
        "output_dir": settings.output,
        "seed": settings.seed,
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation_steps,
        "weight_decay": settings.weight_decay,
        "adam_beta1": settings.adam_beta1,
        "adam_beta2": settings.adam_beta2,
        "adam_epsilon": settings.adam_epsilon,
        "max_grad_norm": settings.max_grad_norm,
        "warmup_steps": math.ceil(settings.warmup_ratio * steps_per_epoch * settings.epochs),
        "lr_scheduler_type": "constant_with_warmup" if schedule == "constant" else schedule,
        "eval_strategy": "steps",
        "eval_steps": every,
        "logging_steps": every,
        "save_strategy": "no" if settings.mode == "trial" else "steps",
        "save_steps": every,
        "save_total_limit": None,  # bomf fuses the checkpoints: all are wanted
        "load_best_model_at_end": False,
        "report_to": [],
    }
    return {**arguments, **own}


def last_checkpoint(settings):
    """The checkpoint that an earlier try left to go on from, else None."""
    if not settings.resume:
        return None
    from transformers.trainer_utils import get_last_checkpoint

    return get_last_checkpoint(settings.output)


def report_callback():
    """A callback for transformers' `Trainer` that tells bomf of all that is logged."""
    from transformers import TrainerCallback

    class Report(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            if state.is_world_process_zero and logs:
                numbers = {k: v for k, v in logs.items() if isinstance(v, (int, float))}
                report(state.global_step, **numbers)

    return Report()
