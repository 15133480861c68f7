"""The image encoder: any network of timm, with or without weights from the hub."""

import logging
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from prismat.encoders import timm_backbone
from prismat.encoders.resnet import ImageEncoder, ImageEncoderConfig
from prismat.encoders.timm_backbone import check_name, import_timm, make_backbone
from prismat.errors import BadInputError, MissingExtraError
from prismat.modalities.image import ImageBatch

if find_spec("timm") is None:
    pytest.skip("the extra image is not installed", allow_module_level=True)

TINY = "test_resnet"
SMALL = ImageEncoderConfig(TINY, "none", size=64, out=16)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """No test asks the hub; the ones about it put a file in its place."""

    def refuse(repository, name, **options):
        raise OSError(f"{repository} is out of reach\nsecond line")

    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    monkeypatch.setattr(huggingface_hub, "get_session", Session)


class Session:
    """A hub that answers at its door."""

    def head(self, url, timeout):
        assert url.startswith("https://")
        assert timeout <= 30


def encoder(config=SMALL, seed=0):
    torch.manual_seed(seed)
    return ImageEncoder(config)


def images(n=4, size=64, channels=1, seed=0):
    pixels = torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(seed))
    return ImageBatch(pixels, torch.ones(n, dtype=torch.bool))


def test_resnet50_pools_to_2048():
    model = encoder(ImageEncoderConfig("resnet50", "none", channels=3, size=64, out=0))
    assert model.width == 2048
    with torch.no_grad():
        assert model(images(2, 64, 3)).shape == (2, 2048)
    assert sum(p.numel() for p in model.backbone.parameters()) == 23_508_032
    batch = images(1, 64, 3)
    with torch.no_grad():
        last = model.eval().backbone.forward_features(batch.pixels)
        assert torch.allclose(model(batch), last.mean(dim=(2, 3)), atol=1e-5)


def test_resnet18_agrees_with_torchvision():
    """The same weights in an independent implementation give the same features."""
    import_timm()
    from torchvision.models import resnet18

    model = encoder(ImageEncoderConfig("resnet18", "none", channels=3, size=64, out=0)).eval()
    other = resnet18().eval()
    other.fc = torch.nn.Identity()
    other.load_state_dict(model.backbone.state_dict())
    batch = images(2, 64, 3)
    with torch.no_grad():
        assert torch.allclose(model(batch), other(batch.pixels), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [TINY, "test_vit", "test_convnext"])
def test_other_networks_train(name, channels):
    model = encoder(ImageEncoderConfig(name, "none", channels, 64, 16))
    assert model.width == 16
    found = model(images(3, 64, channels))
    assert found.shape == (3, 16)
    found.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_absent_records_are_zero_and_leave_the_others_alone():
    batch = images(4)
    present = torch.tensor([True, False, True, False])
    holes = ImageBatch(torch.where(present[:, None, None, None], batch.pixels, 0), present)
    both = ImageBatch(batch.pixels[present], torch.ones(2, dtype=torch.bool))
    for train in (False, True):
        found, wanted = encoder().train(train)(holes), encoder().train(train)(both)
        assert torch.equal(found[present], wanted)
        assert found[~present].abs().max() == 0


def test_running_statistics_do_not_see_absent_records():
    with_holes, without = encoder(), encoder()
    batch = images(2)
    with_holes(ImageBatch(torch.cat([batch.pixels, torch.zeros(6, 1, 64, 64)]), torch.arange(8) < 2))
    without(batch)
    for a, b in zip(with_holes.buffers(), without.buffers(), strict=True):
        assert torch.equal(a, b)


def test_no_image_at_all():
    model = encoder()
    nothing = ImageBatch(torch.zeros(3, 1, 64, 64), torch.zeros(3, dtype=torch.bool))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert torch.equal(model(nothing), torch.zeros(3, 16))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_same_seed_same_numbers_and_bf16():
    first, second = encoder(seed=3).eval(), encoder(seed=3).eval()
    batch = images()
    assert torch.equal(first(batch), second(batch))
    with torch.autocast("cpu", torch.bfloat16):
        half = first.train()(batch)
    assert half.shape == (4, 16)
    assert torch.isfinite(half).all()
    partly = ImageBatch(batch.pixels, torch.tensor([True, True, False, True]))
    with torch.autocast("cpu", torch.bfloat16):
        first(partly).float().sum().backward()


def test_trying_a_blank_image_leaves_statistics_and_random_numbers_alone():
    torch.manual_seed(0)
    plain = import_timm().create_model(TINY, in_chans=1, num_classes=0)
    after = torch.rand(3)
    torch.manual_seed(0)
    found = make_backbone(TINY, "none", 1, 64)
    assert torch.equal(torch.rand(3), after)
    assert found.model.training
    for (name, a), (_, b) in zip(plain.state_dict().items(), found.model.state_dict().items(), strict=True):
        assert torch.equal(a, b), name


def published(monkeypatch, tmp_path, seed=9):
    """Puts a file of weights, of three channels and with a classifier, in the hub's place."""
    import huggingface_hub

    torch.manual_seed(seed)
    theirs = import_timm().create_model(TINY)
    path = tmp_path / "model.safetensors"
    save_file({k: v.contiguous() for k, v in theirs.state_dict().items()}, path)
    asked = []

    def download(repository, name, **options):
        asked.append((repository, name, options["local_files_only"]))
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return theirs, asked


@pytest.mark.parametrize("pretrained", ["auto", "hub"])
def test_weights_of_the_hub(monkeypatch, tmp_path, pretrained):
    theirs, asked = published(monkeypatch, tmp_path)
    model = encoder(ImageEncoderConfig(TINY, pretrained, 3, 64, 0)).eval()
    assert model.weights_from == "hub"
    ((repository, name, local),) = asked
    assert repository.startswith("timm/")
    assert (name, local) == ("model.safetensors", True)
    batch = images(2, 64, 3)
    with torch.no_grad():
        wanted = theirs.eval().forward_head(theirs.forward_features(batch.pixels), pre_logits=True)
        assert torch.allclose(model(batch), wanted, atol=1e-5)


def test_weights_for_colour_serve_grey_images(monkeypatch, tmp_path):
    published(monkeypatch, tmp_path)
    grey = encoder(ImageEncoderConfig(TINY, "hub", 1, 64, 0)).eval()
    colour = encoder(ImageEncoderConfig(TINY, "hub", 3, 64, 0)).eval()
    batch = images(2)
    repeated = ImageBatch(batch.pixels.repeat(1, 3, 1, 1), batch.present)
    with torch.no_grad():
        assert torch.allclose(grey(batch), colour(repeated), atol=1e-4)


def test_auto_says_that_weights_are_random(caplog):
    with caplog.at_level(logging.WARNING):
        model = encoder(ImageEncoderConfig(TINY, "auto", 1, 64, 16))
    assert model.weights_from == "scratch"
    (record,) = caplog.records
    assert "cannot be had from the hub (OSError: timm/" in record.message
    assert "random weights" in record.message
    assert "second line" not in record.message


def test_hub_out_of_reach_is_an_error_with_a_remedy():
    with pytest.raises(BadInputError, match=r"cannot be had from the hub \(OSError.*HF_HUB_CACHE.*'none'"):
        ImageEncoder(ImageEncoderConfig(TINY, "hub", 1, 64))


def test_no_network_shows_before_any_download(monkeypatch):
    import huggingface_hub

    class Closed(Session):
        def head(self, url, timeout):
            raise ConnectionError("no route")

    asked = []

    def download(repository, name, **options):
        asked.append(options["local_files_only"])
        raise OSError("not in the cache")

    monkeypatch.setattr(huggingface_hub, "get_session", Closed)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(BadInputError, match=r"\(ConnectionError: no route\)"):
        make_backbone(TINY, "hub", 1, 64)
    assert asked == [True]


def test_none_asks_nobody(monkeypatch):
    monkeypatch.setattr(timm_backbone, "_hub_file", None)
    assert encoder().weights_from == "scratch"


def test_network_without_published_weights(monkeypatch):
    monkeypatch.setattr(timm_backbone, "_hub_file", None)
    name = unpublished()
    with pytest.raises(BadInputError, match=rf"weights of {name} cannot be had .*none are published there"):
        make_backbone(name, "hub", 3, 64)


def unpublished():
    """Some network that timm has no weights of."""
    timm = import_timm()
    return next(n for n in timm.list_models("resnet*") if not timm.list_models(n, pretrained=True))


def test_a_checkpoint_brings_along_where_its_weights_began(monkeypatch, tmp_path):
    published(monkeypatch, tmp_path)
    state = encoder(ImageEncoderConfig(TINY, "hub", 1, 64, 16)).state_dict()
    monkeypatch.setattr(timm_backbone, "_hub_file", None)
    model = encoder()
    assert model.weights_from == "scratch"
    model.load_state_dict(state)
    assert model.weights_from == "hub"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet500", r"'resnet500' is no network of timm .*Did you mean .*resnet50.*list_models"),
        ("", r"'' is no network"),
        ("hf-hub:timm/resnet18", r"is no network of timm"),
        ("local-dir:/tmp/x", r"is no network of timm"),
        ("../resnet50", r"is no network of timm"),
        ("resnet50.nonsense", r"resnet50 has no weights 'nonsense'.*a1_in1k"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(BadInputError, match=message):
        check_name(name)


def test_images_that_do_not_fit_show_at_once():
    with pytest.raises(BadInputError, match=r"xcit_nano_12_p16_224 cannot be made for 1 × 33 × 33 .*another"):
        ImageEncoder(ImageEncoderConfig("xcit_nano_12_p16_224", "none", 1, 33))


@pytest.mark.parametrize("wrong", [{"channels": 2}, {"size": 16}, {"out": -1}])
def test_configuration_out_of_range(wrong):
    with pytest.raises(BadInputError, match=r"Give 1 or 3 channels, at least 32 pixels and out ≥ 0"):
        ImageEncoderConfig(**wrong)


def test_timm_missing(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(timm_backbone, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"timm is not installed.*prismat\[image\]"):
        import_timm()


def test_a_tag_chooses_weights(monkeypatch):
    asked = []
    monkeypatch.setattr(
        timm_backbone, "_hub_file", lambda repository, local: asked.append(repository) or "no"
    )
    with pytest.raises(BadInputError, match=r"resnet18\.a2_in1k cannot be had"):
        make_backbone("resnet18.a2_in1k", "hub", 1, 64)
    assert asked == ["timm/resnet18.a2_in1k"] * 2


def test_a_damaged_file_of_weights(monkeypatch, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"not weights")
    monkeypatch.setattr(timm_backbone, "_hub_file", lambda *args, **named: Path(path))
    with pytest.raises(BadInputError, match=f"{TINY} cannot be made"):
        make_backbone(TINY, "auto", 1, 64)
