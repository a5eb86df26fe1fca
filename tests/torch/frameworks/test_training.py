"""Models with our dropouts, trained by other people's frameworks."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

import thinnet.torch as tt

# What they deprecate among themselves is their affair.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

Load: TypeAlias = Callable[[str], ModuleType]
Data: TypeAlias = tuple[torch.Tensor, torch.Tensor]


class Net(nn.Module):
    """At module level, as it is pickled."""

    def __init__(self, p: float = 0.3) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(p), nn.Linear(32, 2))
        tt.replace(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().float() for p in model.parameters()])


def falls(losses: list[float], to: float = 0.9) -> bool:
    third = len(losses) // 3
    return sum(losses[-third:]) < to * sum(losses[:third])


# By hand


def steps(model: nn.Module, data: Data, after: Callable[[], object] = lambda: None) -> list[float]:
    optimizer, losses = torch.optim.Adam(model.parameters(), 0.01), []
    model.train()
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(data[0]), data[1])
        loss.backward()
        optimizer.step()
        after()
        losses.append(loss.item())
    return losses


def averaged(data: Data) -> tuple[Net, AveragedModel]:
    torch.manual_seed(3)
    model = Net()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    assert falls(steps(model, data, lambda: average.update_parameters(model)))
    return model, average


def test_averaged_copies(data: Data, acts: Callable[..., None]) -> None:
    (model, average), (_, again) = averaged(data), averaged(data)
    assert torch.equal(weights(average), weights(again))
    assert not torch.equal(weights(average), weights(model))
    assert type(average.module.layers[2]) is tt.Dropout
    acts(average, lambda: average(data[0]))
    assert model.layers[2].p == 0.3
    assert model.training


def test_copies_train_alike(data: Data) -> None:
    model = Net()
    ends = []
    # what is loaded is what was pickled a moment ago
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.manual_seed(5)
        assert falls(steps(other, data))
        ends.append(weights(other))
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])
    torch.manual_seed(6)
    other = Net()
    steps(other, data)
    assert not torch.equal(weights(other), ends[0])


def test_files_are_those_of_torch(data: Data, tmp_path: Path) -> None:
    model, theirs = Net(), Net()
    steps(model, data)
    tt.restore(theirs)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict(state)
    assert type(theirs.layers[2]) is nn.Dropout
    assert torch.equal(theirs.eval()(data[0]), model.eval()(data[0]))
    file = io.BytesIO()
    torch.save(theirs.state_dict(), file)
    file.seek(0)
    assert (
        str(Net().load_state_dict(torch.load(file, weights_only=True))) == "<All keys matched successfully>"
    )


# Lightning


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")
def test_lightning(
    precision: str, library: Load, data: Data, tmp_path: Path, acts: Callable[..., None]
) -> None:
    lightning = library("lightning")

    class Trained(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.losses = Net(), []

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.losses.append(loss.item())
            return loss

        def predict_step(self, batch: Any, index: int) -> torch.Tensor:
            return self.net(batch[0])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), 0.01)

    def trainer(epochs: int) -> Any:
        return lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            devices=1,
            precision=precision,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
            default_root_dir=tmp_path,
        )

    ends = []
    for _ in range(2):
        torch.manual_seed(1)
        model, own = Trained(), trainer(6)
        own.fit(model, DataLoader(TensorDataset(*data), 16, shuffle=True))
        assert len(model.losses) == 24
        assert falls(model.losses)
        assert model.net.training
        ends.append(weights(model))
    assert torch.equal(*ends)
    loader = DataLoader(TensorDataset(*data), 64)
    first, second = (own.predict(model, loader)[0] for _ in range(2))
    assert torch.equal(first, second)
    own.save_checkpoint(tmp_path / "model.ckpt")
    loaded = Trained.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    assert torch.equal(weights(loaded), ends[1])
    acts(model.net, lambda: model.net(data[0]))


# Hugging Face


def bert(transformers: ModuleType) -> nn.Module:
    config = transformers.BertConfig(
        vocab_size=32,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        hidden_dropout_prob=0.2,
        attention_probs_dropout_prob=0.2,
    )
    return transformers.BertForSequenceClassification(config)


def gpt2(transformers: ModuleType) -> nn.Module:
    config = transformers.GPT2Config(
        vocab_size=32, n_positions=16, n_embd=16, n_layer=2, n_head=2, resid_pdrop=0.2, embd_pdrop=0.2,
        attn_pdrop=0.2, pad_token_id=0, bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    return transformers.GPT2ForSequenceClassification(config)


@pytest.mark.parametrize("made", [bert, gpt2], ids=lambda f: f.__name__)
def test_hugging_face(
    made: Callable[[ModuleType], nn.Module], library: Load, tmp_path: Path, acts: Callable[..., None]
) -> None:
    transformers = library("transformers")
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(2, 32, (48, 8), generator=generator)
    rows = [
        {"input_ids": row, "attention_mask": torch.ones_like(row), "labels": (row[-1] > 16).long()}
        for row in tokens
    ]

    def run(checkpointing: bool, replaced: bool = True) -> tuple[list[float], nn.Module]:
        torch.manual_seed(2)
        model = made(transformers)
        if replaced:
            model = tt.replace(model)
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path / "out"),
            max_steps=36,
            per_device_train_batch_size=16,
            learning_rate=0.02,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            seed=4,
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        trainer = transformers.Trainer(model=model, args=arguments, train_dataset=rows)
        trainer.train()
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry], model

    plain, model = run(False)
    assert len(plain) == 36
    assert falls(plain)
    again, same = run(False)
    assert plain == again
    assert torch.equal(weights(model), weights(same))
    spared, other = run(True)
    assert other.is_gradient_checkpointing
    assert spared == plain
    torch.testing.assert_close(weights(other), weights(model))
    assert run(False, replaced=False)[0] != plain
    acts(model, lambda: model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits)
    model.save_pretrained(tmp_path / "saved")
    loaded = type(model).from_pretrained(tmp_path / "saved", local_files_only=True)
    assert torch.equal(weights(loaded), weights(model))


# skorch


def test_skorch(library: Load, data: Data, acts: Callable[..., None]) -> None:
    skorch = library("skorch")
    x, y = (value.numpy() for value in data)

    def net(**options: Any) -> Any:
        return skorch.NeuralNetClassifier(
            Net,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=0.01,
            max_epochs=12,
            batch_size=16,
            train_split=None,
            iterator_train__shuffle=True,
            verbose=0,
            **options,
        )

    own = net(module__p=0.4)
    fitted = []
    for estimator in (own, clone(own)):
        torch.manual_seed(0)
        fitted.append(estimator.fit(x, y))
        assert falls(list(estimator.history[:, "train_loss"]))
        assert estimator.module_.layers[2].p == 0.4
    assert torch.equal(*(weights(estimator.module_) for estimator in fitted))
    assert own.score(x, y) > 0.8
    p = own.predict_proba(x)
    assert np.array_equal(own.predict_proba(x), p)
    assert np.array_equal(pickle.loads(pickle.dumps(own)).predict_proba(x), p)
    search = GridSearchCV(net(), {"module__p": [0.0, 0.5]}, cv=2, error_score="raise").fit(x, y)
    assert type(search.best_estimator_.module_.layers[2]) is tt.Dropout
    acts(own.module_, lambda: own.module_(data[0]))


# Models of timm and torchvision


def images(model: nn.Module, size: int) -> tuple[list[float], torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    y = torch.arange(16) % 2
    x = torch.randn(16, 3, size, size, generator=generator) + y[:, None, None, None]
    optimizer, losses = torch.optim.Adam(model.parameters(), 2e-3), []
    model.train()
    for _ in range(12):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, x


def of_timm(library: Load) -> nn.Module:
    return library("timm").create_model(
        "vit_tiny_patch16_224", pretrained=False, img_size=32, depth=2, embed_dim=24, num_heads=2,
        num_classes=2, drop_rate=0.2, proj_drop_rate=0.2, attn_drop_rate=0.1, drop_path_rate=0.1,
    )  # fmt: skip


def of_torchvision(library: Load) -> nn.Module:
    return library("torchvision").models.VisionTransformer(
        image_size=32, patch_size=16, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, dropout=0.2,
        num_classes=2,
    )  # fmt: skip


@pytest.mark.parametrize("made", [of_timm, of_torchvision], ids=lambda f: f.__name__[3:])
def test_vision_transformers(
    made: Callable[[Load], nn.Module], library: Load, acts: Callable[..., None]
) -> None:
    ends = []
    for _ in range(2):
        torch.manual_seed(0)
        model = made(library)
        tt.replace(model)
        dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
        assert len(dropouts) >= 5
        assert {type(module) for module in dropouts} == {tt.Dropout}
        losses, x = images(model, 32)
        assert falls(losses)
        ends.append(weights(model))
    assert torch.equal(*ends)
    with torch.no_grad():
        for module in model.modules():
            if type(module).__name__ == "DropPath":  # what is drawn here should be by the dropouts alone
                module.drop_prob = 0.0
        acts(model, lambda: model(x))


def test_features_of_torchvision(library: Load, data: Data, acts: Callable[..., None]) -> None:
    model = library("torchvision").ops.MLP(8, [16, 2], dropout=0.5, inplace=False)
    tt.replace(model)
    extract = library("torchvision.models.feature_extraction").create_feature_extractor
    features = extract(model, {"2": "hidden", "4": "out"})
    acts(features, lambda: features(data[0])["hidden"])
    assert torch.equal(features.eval()(data[0])["out"], model.eval()(data[0]))
