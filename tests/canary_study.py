"""A study whose files name a person wherever a format has room for it."""

import gzip
import struct
import zipfile

import nibabel as nib
import numpy as np
from PIL import Image, PngImagePlugin
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.core.data.dicom_builder import write_series

NAME, PATIENT_ID, BIRTH, ADDRESS = "DOE^JANE", "12345678", "19340506", "77 ELM ROAD"
CANARY = f"{NAME} {PATIENT_ID} {BIRTH} {ADDRESS}"
# Also in the ways in which tables and dates are written; 91 years of age.
NEEDLES = ("doe^jane", "doe jane", "12345678", "19340506", "1934-05-06", "elm road", "091y")
_SHAPE = (12, 14, 16)
_TEXT_VALUES = {
    "PN": NAME,
    "LO": CANARY[:64],
    "SH": f"{NAME}",
    "LT": CANARY,
    "ST": CANARY,
    "UT": CANARY,
    "UC": CANARY,
    "CS": "DOE JANE",
    "AE": "DOE JANE",
    "DA": BIRTH,
    "DT": BIRTH + "101112",
    "AS": "091Y",
}
# What a reader needs: how the picture is stored and lies.
_LEFT_ALONE = (0x0000, 0x0002, 0x0003, 0x0004, 0x0028, 0x7FE0)


def fill_dicom(dataset, patient):
    """Write the canary into every text entry that DICOM knows, nested and private ones too."""
    for tag, (vr, *_) in DicomDictionary.items():
        kind = vr.split(" ")[0]
        if kind in _TEXT_VALUES and tag >> 16 not in _LEFT_ALONE:
            dataset.add_new(tag, kind, _TEXT_VALUES[kind])
    # As the standard has it: without it, all text is ASCII.
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientID = f"{PATIENT_ID}-{patient}"
    dataset.BurnedInAnnotation = "YES"
    block = dataset.private_block(0x0009, f"ACME {NAME}", create=True)
    block.add_new(0x01, "LO", CANARY)
    block.add_new(0x02, "UN", CANARY.encode())
    nested = Dataset()
    nested.PatientID, nested.PatientName, nested.PatientAddress = PATIENT_ID, NAME, ADDRESS
    dataset.OtherPatientIDsSequence = Sequence([nested])
    dataset.preamble = CANARY.encode().ljust(128, b"\0")


def _volume(rng):
    i, j, k = np.indices(_SHAPE)
    ball = 900 * (((i - 6) / 5) ** 2 + ((j - 7) / 6) ** 2 + ((k - 8) / 7) ** 2 < 1)
    return (ball + rng.integers(0, 100, _SHAPE)).astype(np.int16)


def _fill_header(header, fields):
    for field, text in fields.items():
        header[field] = text.encode()[: header[field].dtype.itemsize]


def write_nifti(path, voxels, kind=nib.Nifti1Image):
    image = kind(voxels, np.diag([1, 1.2, 1.5, 1]))
    fields = {"descrip": CANARY, "aux_file": CANARY, "intent_name": NAME}
    if kind is not nib.Nifti2Image:
        fields |= {"db_name": CANARY, "data_type": NAME}
    _fill_header(image.header, fields)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", CANARY.encode()))
    nib.save(image, path)


def write_analyze(path, voxels):
    image = nib.AnalyzeImage(voxels, np.diag([1, 1.2, 1.5, 1]))
    texts = ("descrip", "aux_file", "generated", "scannum", "patient_id", "exp_date", "exp_time")
    _fill_header(image.header, dict.fromkeys((*texts, "db_name"), f"{PATIENT_ID} {NAME}"))
    nib.save(image, path)


def write_mgh(path, voxels):
    content = nib.MGHImage(voxels, np.diag([1, 1.2, 1.5, 1])).to_bytes()
    text = CANARY.encode() + b"\0"
    # A command line (tag 3) as FreeSurfer writes it behind the voxels.
    path.write_bytes(gzip.compress(content + struct.pack(">iq", 3, len(text)) + text))


def write_picture(path, grey):
    image = Image.fromarray(grey)
    exif = Image.Exif()
    # Description, artist, date and time, copyright, and the owner's and a comment's own entries.
    exif.update({0x010E: CANARY, 0x013B: NAME, 0x0132: "1934:05:06 10:11:12", 0x8298: CANARY})
    exif.get_ifd(0x8769).update({0x9286: CANARY, 0xA430: NAME})
    if path.suffix == ".png":
        text = PngImagePlugin.PngInfo()
        text.add_text(f"Title {NAME}", CANARY)
        text.add_text("Comment", CANARY, zip=True)
        text.add_itxt("XML:com.adobe.xmp", f"<x>{CANARY}</x>")
        image.save(path, pnginfo=text, exif=exif)
    elif path.suffix == ".tif":
        image.save(path, tiffinfo={270: CANARY, 315: NAME, 33432: CANARY, 65000: CANARY})
    else:
        image.save(path, exif=exif, comment=CANARY.encode(), quality=95)


def write_study(home):
    """Write six subjects of two classes in all formats, and a table; return (root, table)."""
    rng = np.random.default_rng(5)
    root = home / "study"
    for label in ("AD", "NC"):
        (root / label).mkdir(parents=True)
    write_nifti(root / "AD" / "sub-01.nii.gz", _volume(rng))
    write_nifti(root / "AD" / "sub-02.nii", _volume(rng), nib.Nifti2Image)
    write_analyze(root / "AD" / "sub-03.hdr", _volume(rng))
    write_mgh(root / "NC" / "sub-04.mgz", _volume(rng))
    for number, label in ((5, "NC"), (6, "AD")):
        write_series(
            # No name tells this patient: it gets a study key.
            root / label / "DICOM" / f"SE{number:02d}",
            _volume(rng),
            series=f"1.2.3.{number}",
            change=lambda dataset, k, number=number: fill_dicom(dataset, number),
        )
    for number, suffix, label in ((7, "png", "NC"), (8, "jpg", "NC"), (9, "tif", "AD")):
        for k in range(3):
            grey = rng.integers(0, 256, (24, 20)).astype(np.uint8)
            write_picture(root / label / f"sub-{number:02d}_s{k:02d}.{suffix}", grey)
    _write_bad_files(root / "AD")
    return root


def _write_bad_files(folder):
    whole = (folder / "sub-01.nii.gz").read_bytes()
    (folder / "sub-11.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "sub-12.nii").write_bytes(CANARY.encode() * 100)
    picture = (folder / "sub-09_s00.tif").read_bytes()
    (folder / "sub-13_s00.png").write_bytes(picture[:200])
    (folder / "notes.txt").write_text(CANARY, encoding="utf-8")
    with zipfile.ZipFile(folder / "sub-14.zip", "w") as archive:
        archive.writestr("note", CANARY)
    dicom = next((folder / "DICOM").rglob("*.dcm")).read_bytes()
    (folder / "DICOM" / "cut.dcm").write_bytes(dicom[: len(dicom) // 2])
    swapped = dicom.replace(b"1.5", b"DOE")
    (folder / "DICOM" / "SE06" / "strange.dcm").write_bytes(swapped[:-20])


def write_table(root, subjects):
    """Write a table of labels whose other columns name people; return it."""
    rows = ["subject,class,name,birth,address,age"]
    rows += [f"{subject},{label},{NAME},1934-05-06,{ADDRESS},091Y" for subject, label in subjects]
    table = root / "labels.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return table
