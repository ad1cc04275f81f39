"""
The same training steps as bench/training/ours.ts in PyTorch on the CPU, float32: argument 1 is `eager` or `compile`,
argument 2 the task as JSON. Takes a step for each line it reads and writes one of JSON after it (contender.ts).

A teacher of full attention and a student beside it, which shares every weight that is not trained. Losses: forward KL over
the vocabulary, the head in chunks of rows, each differentiated by itself so that the logits of a batch are never held;
or, for alignment, the squared error of each layer's mixer relative to what the teacher's attention gives. AdamW fused.
"""

import json
import os
import resource
import sys
import time

mode, task = sys.argv[1], json.loads(sys.argv[2])
# Read by OpenMP and MKL when torch is imported.
os.environ.update(OMP_NUM_THREADS=str(task["threads"]), MKL_NUM_THREADS=str(task["threads"]))

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch_layers import HEAD_DIM, HEADS, WIDTH, Attention, GatedDeltaNet, rms_norm  # noqa: E402

BATCH, SEQ = task["batch"], task["length"]
INNER, VOCABULARY = 1536, 49152
ROWS = 256  # Of the head at a time.


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.in_proj = nn.Linear(WIDTH, 2 * INNER, bias=False)
        self.down_proj = nn.Linear(INNER, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.in_proj(x).chunk(2, -1)
        return self.down_proj(F.silu(gate) * up)


def mixer_of(spec: dict) -> nn.Module:
    if spec["kind"] == "gated_deltanet":
        return GatedDeltaNet(WIDTH, spec["heads"], spec["keyDim"], spec["valueDim"])
    full = {"attention": None, "sliding_window": [], "head_attention": spec.get("fullHeads")}[spec["kind"]]
    return Attention(SEQ, spec.get("window", 0), spec.get("sinks", 0), full)


class Layer(nn.Module):
    def __init__(self, spec: dict):
        super().__init__()
        self.norm, self.mixer, self.mlp_norm, self.mlp = Norm(), mixer_of(spec), Norm(), Mlp()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.norm(x))
        return x + self.mlp(self.mlp_norm(x))


class Model(nn.Module):
    def __init__(self, specs: list[dict]):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(VOCABULARY, WIDTH) * 0.02)
        self.layers = nn.ModuleList(Layer(spec) for spec in specs)
        self.norm = Norm()

    def forward(self, ids: Tensor) -> Tensor:
        x = F.embedding(ids, self.embedding)
        for layer in self.layers:
            x = layer(x)
        return x


def compiled(module):
    return torch.compile(module) if mode == "compile" else module


def divergence(x: Tensor, said: Tensor, student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor]) -> Tensor:
    """KL(teacher || student) summed over rows, from hidden states and (norm, head) of each."""
    logits = lambda x, norm, head: F.linear(rms_norm(x, norm), head)
    with torch.no_grad():
        target = F.log_softmax(logits(said, *teacher), -1)
    return F.kl_div(F.log_softmax(logits(x, *student), -1), target, reduction="sum", log_target=True)


def kl_step(teacher: Model, student: Model, ids: Tensor) -> Tensor:
    with torch.no_grad():
        said = teacher(ids).flatten(0, 1)
    states = student(ids)
    x = states.detach().flatten(0, 1).requires_grad_()
    loss = torch.zeros(())
    own, theirs = ((m.norm.weight, m.embedding) for m in (student, teacher))
    for rows, rows_said in zip(x.split(ROWS), said.split(ROWS)):
        part = head_loss(rows, rows_said, own, theirs) / len(x)
        part.backward()
        loss += part.detach()
    states.backward(x.grad.view_as(states))
    return loss


def align_step(teacher: Model, students: nn.ModuleList, ids: Tensor) -> Tensor:
    total = torch.zeros(())
    with torch.no_grad():
        x = F.embedding(ids, teacher.embedding)
    for i, (layer, student) in enumerate(zip(teacher.layers, students)):
        with torch.no_grad():
            normed, target = before(layer.norm, layer.mixer, x)
            # Nothing is asked of what follows the last mixer.
            if i < len(students) - 1:
                x = after(layer.mlp_norm, layer.mlp, x + target)
        loss = error(student, normed, target) / len(students)
        loss.backward()
        total += loss.detach()
    return total


head_loss = compiled(divergence)
before = compiled(lambda norm, mixer, x: (lambda n: (n, mixer(n)))(norm(x)))
after = compiled(lambda norm, mlp, x: x + mlp(norm(x)))


def relative(student: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    return (student(x) - target).square().mean() / (target.square().mean() + 1e-8)


error = compiled(relative)


def shared(student: Model, teacher: Model, copy: bool) -> None:
    """The student's weights are the teacher's where it has the same: the same memory, or copies that are trained."""
    theirs = dict(teacher.named_parameters())
    for name, parameter in list(student.named_parameters()):
        other = theirs.get(name)
        if other is None or other.shape != parameter.shape or isinstance(mixer_at(student, name), GatedDeltaNet):
            continue
        owner = student.get_submodule(name.rpartition(".")[0])
        setattr(owner, name.rpartition(".")[2], nn.Parameter(other.detach().clone()) if copy else other)


def mixer_at(model: Model, name: str) -> nn.Module | None:
    parts = name.split(".")
    return model.layers[int(parts[1])].mixer if parts[0] == "layers" and parts[2] == "mixer" else None


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(task["threads"])
    torch.set_flush_denormal(True)
    specs, trained = task["case"]["layers"], task["case"]["trained"]
    teacher = Model([{"kind": "attention"}] * len(specs)).eval().requires_grad_(False)
    if trained == "align":
        students = nn.ModuleList(mixer_of(spec) for spec in specs)
        parameters = list(students.parameters())
        step = lambda ids: align_step(teacher, students, ids)
    else:
        student = Model(specs)
        shared(student, teacher, copy=trained == "all")
        for name, parameter in student.named_parameters():
            parameter.requires_grad_(trained == "all" or isinstance(mixer_at(student, name), GatedDeltaNet))
        parameters = [p for p in student.parameters() if p.requires_grad]
        if mode == "compile":
            for model in (teacher, student):
                model.layers = nn.ModuleList(torch.compile(layer) for layer in model.layers)
        step = lambda ids: kl_step(teacher, student, ids)
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, weight_decay=0, betas=(0.9, 0.95), fused=True)
    for _ in sys.stdin:
        begun, used = time.perf_counter(), time.process_time()
        loss = step(torch.randint(VOCABULARY, (BATCH, SEQ)))
        if trained != "align":
            nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        print(json.dumps({
            "seconds": time.perf_counter() - begun,
            "processor": time.process_time() - used,
            "loss": loss.item(),
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }), flush=True)


main()
