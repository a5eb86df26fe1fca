"""Trainers of other packages that stop and resume: the masks continue."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias
from unittest import mock

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import thinnet.torch as tt
from thinnet.errors import InputError, MissingPackage
from thinnet.schedules import Linear

# What they deprecate among themselves is their affair.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

Load: TypeAlias = Callable[[str], ModuleType]
Data: TypeAlias = tuple[torch.Tensor, torch.Tensor]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))
        tt.replace(self)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.layers(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize("counted", [False, True], ids=["by the callback", "by the optimizer"])
def test_lightning_resumes(counted: bool, library: Load, data: Data, tmp_path: Path) -> None:
    lightning = library("lightning.pytorch")
    rates: list[float] = []

    class Trained(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net, self.losses = Net(), []

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            loss = self.net(*batch)["loss"]
            self.losses.append(loss.item())
            rates.append(self.net.layers[2].p)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            optimizer = torch.optim.Adam(self.parameters(), 0.01)
            tt.seed(self.net, 7, optimizer=optimizer if counted else None)
            tt.schedule(self.net, Linear(0.1, 0.5, steps=8))
            return optimizer

    def trained(generator: int, after: Path | None = None) -> list[float]:
        model = Trained()
        trainer = lightning.Trainer(
            max_epochs=2,
            accelerator="cpu",
            devices=1,
            accumulate_grad_batches=2,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
            callbacks=[tt.callbacks.lightning(), keep],
        )
        torch.manual_seed(generator)  # whatever it holds
        trainer.fit(model, DataLoader(TensorDataset(*data), 8), ckpt_path=after, weights_only=True)
        return model.losses

    keep = lightning.callbacks.ModelCheckpoint(
        tmp_path, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True
    )
    whole = trained(1)
    assert len(set(whole)) == 16
    assert len(set(rates)) == 8
    assert trained(2, tmp_path / "epoch=0.ckpt") == whole[8:]


@pytest.mark.parametrize("counted", [False, True], ids=["by the callback", "by the optimizer"])
def test_transformers_resume(counted: bool, library: Load, data: Data, tmp_path: Path) -> None:
    transformers = library("transformers")
    rows = [{"x": x, "labels": label} for x, label in zip(*data, strict=True)]

    def trained(folder: str, steps: int, seed: int = 7, resumes: bool = False) -> list[float]:
        torch.manual_seed(0)
        model = Net()
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        tt.seed(model, seed, optimizer=optimizer if counted else None)
        tt.schedule(model, Linear(0.1, 0.5, steps=8))
        trainer = transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(
                output_dir=str(tmp_path / folder),
                max_steps=steps,
                per_device_train_batch_size=8,
                gradient_accumulation_steps=2,
                lr_scheduler_type="constant",
                logging_steps=1,
                save_steps=3,
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            train_dataset=rows,
            optimizers=(optimizer, None),
            callbacks=[tt.callbacks.transformers()],
        )
        trainer.train(resume_from_checkpoint=resumes)
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    whole = trained("whole", 8)
    assert len(set(whole)) == 8
    assert trained("parts", 3) == whole[:3]
    assert trained("parts", 8, resumes=True) == whole
    with pytest.raises(InputError, match="the saved state has seed 7, the model has seed 8"):
        trained("parts", 8, seed=8, resumes=True)


def test_callbacks_can_be_pickled(library: Load) -> None:
    library("lightning.pytorch")
    library("transformers")
    for make in (tt.callbacks.lightning, tt.callbacks.transformers):
        assert type(pickle.loads(pickle.dumps(make()))) is type(make())


@pytest.mark.parametrize("name", ["lightning", "transformers"])
def test_a_package_that_is_missing(name: str, refusal: Callable[..., str]) -> None:
    getattr(tt.callbacks, f"_{name}_class").cache_clear()
    with mock.patch("importlib.import_module", side_effect=ImportError):
        line = refusal(MissingPackage, getattr(tt.callbacks, name))
    assert line.startswith(f"{name}: the callback needs ")
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        _ = tt.callbacks.Other
