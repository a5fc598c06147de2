"""Training step of the unified network.

Loss = task(full) + task(dropped) + λ · KL(stop-gradient(full) ‖ dropped) + μ · mean over modalities of task(unimodal).
The second pass drops random modalities, never all of one sample, so that the network can predict from any subset.
Encoders run once for both passes.
"""

from typing import Any

import lightning
import torch
from jaxtyping import Float
from torch import Tensor

from polyclinic.features.image.augmentation import Augment
from polyclinic.models import Batch, Outputs, UnifiedModel, modality_dropout
from polyclinic.study import Network
from polyclinic.training.data.dataset import Labelled
from polyclinic.training.network.losses import UncertaintyBalance, divergence, task_loss


class UnifiedModule(lightning.LightningModule):
    """Fits a `UnifiedModel`; random draws depend only on (seed, epoch), so a resumed fit gives the same result."""

    def __init__(self, model: UnifiedModel, options: Network, seed: int) -> None:
        super().__init__()
        self.model = model
        self.options = options
        self.seed = seed
        self.balance = UncertaintyBalance(list(model.heads))
        self.augment = Augment() if options.augment and "pixels" in model.reads.get("image", ()) else None

    def on_train_epoch_start(self) -> None:
        """Seed dropout for the epoch."""
        torch.manual_seed(self.seed * 100_003 + self.current_epoch)

    def training_step(self, labelled: Labelled, index: int) -> Tensor:  # noqa: ARG002
        """Return the loss of one batch."""
        tokens = self.model.encode(self._augmented(labelled.batch))
        present = self.model.presence(labelled.batch)
        full = self.model.fuse(tokens, present)
        loss = self.balanced(full, labelled)
        if self.options.modality_dropout and present.shape[1] > 1:
            dropped = self.model.fuse(tokens, modality_dropout(present, self.options.modality_dropout))
            loss = loss + self.balanced(dropped, labelled)
            loss = loss + self.options.consistency * self._consistency_loss(full, dropped)
        return loss + self.options.unimodal * self._unimodal_loss(full, labelled)

    def validation_step(self, labelled: Labelled, index: int) -> None:  # noqa: ARG002
        """Log the loss from all inputs, as the unweighted sum over tasks."""
        outputs = self.model(labelled.batch)
        losses = self._losses(outputs.logits, labelled)
        self.log("validation_loss", torch.stack(list(losses.values())).sum(), batch_size=len(labelled.batch))

    def balanced(self, outputs: Outputs, labelled: Labelled) -> Float[Tensor, ""]:
        """Return the weighted loss of all tasks."""
        return self.balance(self._losses(outputs.logits, labelled))  # type: ignore[no-any-return]

    def configure_optimizers(self) -> Any:
        """Return AdamW with a cosine schedule to a tenth of the rate; biases and norms have no weight decay."""
        matrices = [p for p in self.parameters() if p.requires_grad and p.ndim > 1]
        vectors = [p for p in self.parameters() if p.requires_grad and p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": self.options.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            lr=self.options.learning_rate,
        )
        rate = self.options.learning_rate
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.options.epochs, eta_min=rate / 10)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    def _augmented(self, batch: Batch) -> Batch:
        """Augment the images, where the network reads pixels."""
        if self.augment is None:
            return batch
        image = batch.inputs["image"]
        recorded = image["view_mask"] & batch.presence("image")[:, None]
        pixels = image["pixels"].clone()
        pixels[recorded] = self.augment(pixels[recorded])
        return Batch(batch.inputs | {"image": image | {"pixels": pixels}}, batch.present)

    def _losses(self, logits: dict[str, Tensor], labelled: Labelled) -> dict[str, Tensor]:
        return {
            task: task_loss(self.model.head(task), logit, labelled.values[task], labelled.observed[task])
            for task, logit in logits.items()
        }

    def _consistency_loss(self, full: Outputs, dropped: Outputs) -> Tensor:
        pairs = ((self.model.head(task), full.logits[task], dropped.logits[task]) for task in full.logits)
        return torch.stack([divergence(*pair) for pair in pairs]).sum()

    def _unimodal_loss(self, full: Outputs, labelled: Labelled) -> Tensor | float:
        """Return the mean loss of the unimodal heads, each over the samples that have its modality."""
        present = self.model.presence(labelled.batch)
        losses = [
            task_loss(
                self.model.head(task),
                logits[:, place],
                labelled.values[task],
                labelled.observed[task] & available,
            )
            for place, available in enumerate(present.unbind(dim=1))
            for task, logits in full.unimodal.items()
        ]
        return torch.stack(losses).sum() / present.shape[1] if losses else 0.0
