"""Findings read from reports by rules: sentences labelled by hand."""

from itertools import product

import numpy as np
import pytest

from fairlora_cls.data.simulated.chest import describe_findings
from fairlora_cls.data.sources.chexpert import FINDINGS
from fairlora_cls.errors import InputError
from fairlora_cls.texts.report_labels import label_report, label_reports, split_sentences

SHORT = {
    "Atelectasis": "ate",
    "Cardiomegaly": "car",
    "Consolidation": "con",
    "Edema": "ede",
    "Enlarged Cardiomediastinum": "med",
    "Fracture": "fra",
    "Lung Lesion": "les",
    "Lung Opacity": "opa",
    "No Finding": "none",
    "Pleural Effusion": "eff",
    "Pleural Other": "ple",
    "Pneumonia": "pna",
    "Pneumothorax": "ptx",
    "Support Devices": "dev",
}
SIGNS = {"positive": "+", "uncertain": "?", "negative": "-"}

SENTENCES = {
    # denial and its reach
    "No evidence of pneumothorax or pleural effusion.": "-eff +none -ptx",
    "without consolidation, effusion, or pneumothorax": "-con +none -eff -ptx",
    "Consolidation, effusion, and pneumothorax are not seen.": "-con +none -eff -ptx",
    "No pneumothorax, small left pleural effusion.": "+eff -ptx",
    "No pneumothorax is seen, the heart is enlarged.": "+car -ptx",
    "No evidence of pneumonia but there is a small effusion.": "+eff -pna",
    "There is no effusion and the lungs show diffuse opacities.": "+opa -eff",
    "No abnormality other than a small effusion.": "+eff",
    "The lungs are clear without focal consolidation, no effusion.": "-con +none -eff",
    "No effusion/pneumothorax.": "+none -eff -ptx",
    "No new consolidation.": "-con +none",
    "No residual pneumothorax.": "+none -ptx",
    "Pulmonary vascular congestion without frank edema.": "+ede",
    "Atelectasis rather than pneumonia.": "+ate -pna",
    "Pneumothorax: none. Pleural effusion: Small on the left.": "+eff -ptx",
    "The previously seen pneumothorax is not identified on this study.": "+none -ptx",
    "Mild interstitial edema is unlikely.": "-ede +none",
    # what has gone, and what has not
    "The effusion has resolved.": "+none -eff",
    "Interval resolution of pulmonary edema, persistent right pleural effusion.": "-ede +eff",
    "Left effusion persists, right pneumothorax has resolved.": "+eff -ptx",
    "The effusion has not resolved.": "+eff",
    "The effusion has nearly resolved; the edema has partially cleared.": "?eff +ede",
    "Near complete resolution of the pulmonary edema.": "?ede",
    "unchanged small left effusion": "+eff",
    "There is no change in the small right effusion.": "+eff",
    "No significant interval change in bilateral pleural effusions.": "+eff",
    "Moderate right pneumothorax, not significantly changed.": "+ptx",
    # doubt
    "cannot exclude pneumonia": "?pna",
    "Pneumonia cannot be excluded.": "?pna",
    "Pneumothorax is not excluded.": "?ptx",
    "There may be a small effusion.": "?eff",
    "Atelectasis versus pneumonia at the left base.": "?ate ?pna",
    "Effusion or pleural thickening at the left base.": "?eff ?ple",
    "Right lower lobe opacity concerning for pneumonia.": "+opa ?pna",
    "No focal opacity concerning for pneumonia.": "+none -opa -pna",
    "Nothing to suggest pneumonia.": "+none -pna",
    "No definite pneumonia, possible atelectasis.": "?ate -pna",
    "Without effusion, pneumonia cannot be excluded.": "-eff ?pna",
    "Possible small left effusion has resolved.": "+none -eff",
    "Opacity likely reflects atelectasis, but pneumonia is also possible.": "?ate +opa ?pna",
    "Effusion is not well evaluated.": "?eff",
    "Viral pneumonia was suspected.": "?pna",
    "No effusion or pneumothorax is suspected.": "+none -eff -ptx",
    "Without a lateral view pneumonia cannot be excluded.": "?pna",
    "No large effusion, though a trace effusion is difficult to exclude.": "?eff",
    "The cardiac silhouette is likely mildly enlarged.": "?car",
    # denials of denials, what stands for a finding named before, words of doubt
    "Not without a pleural effusion.": "+eff",
    "The lungs are not without consolidation.": "+con",
    "It is not the case that there is no effusion.": "+eff",
    "It is not true that there is no pneumothorax.": "+ptx",
    "It is not the case that there is a pneumothorax.": "-ptx +none",
    "It is not the case that the heart is enlarged.": "-car +none",
    "There is no absence of effusion.": "+eff",
    "No lack of consolidation.": "+con",
    "No effusion is seen on the right, but a small one persists on the left.": "+eff",
    "No pneumothorax on the right; however, one is present on the left.": "+ptx",
    "No effusion on the right, however a small one on the left.": "+eff",
    "No effusion on the right although a trace one is seen on the left.": "+eff",
    "There is no right effusion, but there is one on the left.": "+eff",
    "There is no left pneumothorax, but a tiny right one remains.": "+ptx",
    "No effusion is seen on the right, but none on the left either.": "-eff +none",
    "No effusion on the right, but a left one cannot be excluded.": "?eff",
    "No effusion on the right, but one on the left is possible.": "?eff",
    "No effusion, but a small nodule persists on the left.": "-eff +les",
    "No pneumothorax but a small effusion.": "-ptx +eff",
    "Cardiomegaly is doubtful.": "?car",
    "Doubtful cardiomegaly.": "?car",
    "Pneumonia is questionable.": "?pna",
    "A right effusion is equivocal.": "?eff",
    "Equivocal consolidation at the right base.": "?con",
    "It is doubtful whether there is an effusion.": "?eff",
    "There is doubt about a small pneumothorax.": "?ptx",
    "Without doubt there is a pneumothorax.": "+ptx",
    "There is no doubt that there is an effusion.": "+eff",
    "Undoubtedly an effusion.": "+eff",
    "An effusion is not in doubt.": "+eff",
    "Effusion is uncertain.": "?eff",
    "Uncertain small effusion.": "?eff",
    "Pneumonia can not be ruled out.": "?pna",
    "One cannot exclude pneumonia.": "?pna",
    "Pneumonia is hard to exclude.": "?pna",
    "There is no evidence to exclude pneumonia.": "?pna",
    "No findings to exclude pneumonia.": "?pna",
    "Pneumonia not entirely excluded.": "?pna",
    "An effusion is not absent.": "+eff",
    "Effusion is not excluded.": "?eff",
    "There is not no effusion.": "+eff",
    "The effusion has not completely resolved.": "+eff",
    "The effusion has not fully cleared.": "+eff",
    "No resolution of the effusion.": "+eff",
    "Without interval resolution of the edema.": "+ede",
    "The pneumothorax is no longer absent.": "+ptx",
    "No longer any effusion.": "-eff +none",
    "Effusion is no longer seen.": "-eff +none",
    "The effusion did not resolve.": "+eff",
    "Consolidation is not ruled out.": "?con",
    "The chest tube has not been removed.": "+none +dev",
    "Cannot rule out a small effusion, but no pneumothorax.": "?eff -ptx",
    "No effusion but atelectasis.": "-eff +ate",
    "It is unlikely that there is no effusion.": "?eff",
    "The right effusion has resolved, but the left one persists.": "+eff",
    "The right pneumothorax has resolved, although a small left one remains.": "+ptx",
    "The right effusion has resolved, whereas the left persists.": "+eff",
    "Although there is no effusion on the left, there is a small one on the right.": "+eff",
    "While no effusion is seen on the left, one is seen on the right.": "+eff",
    "No effusion is seen on the right but is present on the left.": "+eff",
    "No effusion is seen on the right but there may be one on the left.": "?eff",
    "Never without effusion.": "+eff",
    "Pneumonia is not unlikely.": "?pna",
    "It is impossible to exclude pneumonia.": "?pna",
    "Fails to exclude pneumonia.": "?pna",
    "There is no reason to doubt the effusion.": "+eff",
    "Heart size is doubtful.": "+none",
    "The heart is questionably enlarged.": "?car",
    "The heart is doubtfully enlarged.": "?car",
    "The heart is not without enlargement.": "+car",
    "It is not the case that the heart is not enlarged.": "+car",
    "Enlargement of the heart is doubtful.": "?car",
    "No one-sided effusion.": "-eff +none",
    "Possible effusion on the right, but a definite one on the left.": "+eff",
    "Dubious nodule in the right lung.": "?les",
    "Nodule in the right lung is dubious.": "?les",
    "A nodule is suspected but not certain.": "?les",
    "There was no pneumothorax, but now there is.": "+ptx",
    "There was no effusion before, but one has developed.": "+eff",
    "No effusion previously, but now a small effusion.": "+eff",
    "No effusion, but one cannot exclude pneumonia.": "-eff ?pna",
    "No effusion, but one of the ribs is fractured.": "-eff +fra",
    "No pneumothorax but remains intubated.": "-ptx +dev +none",
    "No effusion on the right and none on the left.": "-eff +none",
    "There isn't an effusion.": "-eff +none",
    "There isn't any pneumothorax.": "-ptx +none",
    "An effusion isn't seen.": "-eff +none",
    "The effusion hasn't resolved.": "+eff",
    "Pneumonia can't be excluded.": "?pna",
    "No effusion is seen on this one view.": "-eff +none",
    "Two nodules, one in the left lung.": "+les",
    "No nodule other than the known one.": "+les",
    "No effusion. A small one persists on the left.": "+eff",
    "No effusion, but the heart is enlarged and remains so.": "-eff +car",
    "No effusion is seen but the left persists.": "+eff",
    "Pneumothorax has resolved, but the other lung remains clear.": "-ptx +none",
    "No consolidation. The left is clear.": "-con +none",
    "No fracture, but the left remains clear.": "-fra +none",
    "Lungs are clear without effusion or pneumothorax, unchanged.": "-eff -ptx +none",
    "Not enlarged heart.": "-car +none",
    "No effusion is seen on the right, and none is seen on the left.": "-eff +none",
    "Neither effusion nor pneumothorax is present.": "-eff -ptx +none",
    "No evidence of pneumothorax, but there is atelectasis.": "-ptx +ate",
    "There is no pneumothorax, effusion, or consolidation, but atelectasis persists.": "-ptx -eff -con +ate",
    "No doubt about the effusion.": "+eff",
    "Uncertain whether there is pneumonia.": "?pna",
    "Pneumonia is doubtful, but an effusion is present.": "?pna +eff",
    "No focal consolidation, though evaluation is limited.": "-con +none",
    "No effusion though the costophrenic angle is not seen.": "-eff +none",
    "No pleural effusion, though one may be present and obscured.": "?eff",
    "It is not certain that there is an effusion.": "?eff",
    "Effusion cannot be confirmed.": "?eff",
    "No effusion, doubtful nodule.": "-eff ?les",
    "Pneumothorax is not only present but large.": "+ptx",
    "The effusion is gone.": "-eff +none",
    "The effusion is not gone.": "+eff",
    # heart and mediastinum by their predicates
    "heart size is normal": "-car +none",
    "The heart is not enlarged.": "-car +none",
    "The heart is mildly enlarged but there is no edema.": "+car -ede",
    "Mildly enlarged cardiac silhouette. Widened mediastinum.": "+car +med",
    "Normal heart size, enlarged mediastinum.": "-car +med",
    "Heart size is normal, mediastinum is widened.": "-car +med",
    "Heart and mediastinal contours are within normal limits.": "-car -med +none",
    "No enlargement of the heart.": "-car +none",
    "Borderline heart size.": "?car",
    "The cardiac silhouette is unchanged.": "+none",
    # devices
    "ET tube in place.": "+none +dev",
    "Left PICC line terminates in the SVC. No acute osseous abnormality.": "+none +dev",
    "The chest tube has been removed.": "+none -dev",
    "Interval removal of the endotracheal tube with small right pneumothorax.": "+ptx -dev",
    # what is no mention, or no statement about now
    "lungs are clear": "+none",
    "No pericardial effusion, no subcutaneous edema, no mass effect.": "+none",
    "Evaluate for pneumonia.": "+none",
    "History of pneumonia.": "+none",
    "If there is concern for pneumonia, obtain a lateral view.": "+none",
    # other abnormalities have no label, but there is a finding
    "Emphysema. Blunting of the left costophrenic angle.": "",
    "Old healed rib fractures. No acute fracture.": "+fra",
    "Multiple nodules, suspicious for metastases.": "+les",
    # whole reports
    "Normal heart size, clear lungs. Neither edema nor pneumonia. No effusion": "-car -ede +none -eff -pna",
    "1. Right effusion with atelectasis next to it. There is a left effusion as well.\n\n"
    "2. Enlarged heart without edema.": "+ate +car -ede +eff",
    "Patchy airspace disease in the lingula that may reflect consolidation or atelectasis.": "?ate ?con +opa",
    "1. Unchanged mild cardiomegaly. 2. Hyperinflated lungs, otherwise clear.": "+car",
}


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences_labelled_by_hand(text):
    found = {SIGNS[status] + SHORT[finding] for finding, status in label_report(text).items()}
    assert found == set(SENTENCES[text].split())


def test_of_several_mentions_the_strongest_counts():
    assert label_report("No effusion. Small left effusion.")["Pleural Effusion"] == "positive"
    assert label_report("No effusion. Possible effusion.")["Pleural Effusion"] == "uncertain"


def test_a_blank_text_has_no_finding_at_all():
    assert label_report("") == {}
    assert label_report(" .\n") == {}
    assert not label_reports(["", "  "]).any()


def test_a_report_in_another_script_has_no_finding_at_all():
    """Opposite texts must not agree in having none."""
    assert label_report("Плевральный выпот слева 2 см, MRI.") == {}
    assert label_report("左胸腔积液") == {}


def test_uncertain_counts_by_the_stated_rule():
    column = FINDINGS.index("Pneumonia")
    texts = ["Possible pneumonia.", "Pneumonia.", "No pneumonia."]
    assert label_reports(texts)[:, column].tolist() == [True, True, False]
    assert label_reports(texts, "negative")[:, column].tolist() == [False, True, False]
    with pytest.raises(InputError, match="uncertain is 'maybe'"):
        label_reports(texts, "maybe")


def test_no_texts_have_the_shape_of_no_rows():
    assert label_reports([]).shape == (0, 14)


def test_every_report_of_the_simulated_cohort_is_read_right():
    booleans, sides = (False, True), ("left", "right")
    for cardiomegaly, effusion, pneumothorax in product(booleans, repeat=3):
        truth = {
            "cardiomegaly": cardiomegaly,
            "effusion": effusion,
            "pneumothorax": pneumothorax,
        }
        for height, width, one, other in product((0.1, 0.25, 0.4), (0.1, 0.15, 0.3), sides, sides):
            text = describe_findings(
                truth,
                {"effusion": height, "pneumothorax": width},
                {"effusion": one, "pneumothorax": other},
            )
            status = {False: "negative", True: "positive"}
            expected = {
                "Cardiomegaly": status[cardiomegaly],
                "Pleural Effusion": status[effusion],
                "Pneumothorax": status[pneumothorax],
            }
            if not any(truth.values()):
                expected["No Finding"] = "positive"
            assert label_report(text) == expected, text


def test_sentences_end_at_stops_lists_and_paragraphs_but_not_in_numbers():
    text = "Nodule of 2.5 cm.The heart is large; no edema\n- ET tube\n\nAtelectasis vs. scar"
    assert split_sentences(text) == [
        "nodule of 2.5 cm",
        "the heart is large",
        "no edema",
        "et tube",
        "atelectasis vs scar",
    ]


def test_order_of_findings_is_chexperts():
    row = label_reports(["Cardiomegaly."])[0]
    assert row.dtype == bool
    assert [FINDINGS[k] for k in np.flatnonzero(row)] == ["Cardiomegaly"]
