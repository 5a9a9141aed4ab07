"""How radiology reports name CheXpert's findings, and the words that deny, doubt or set them aside.

All tables hold regular-expression fragments over lower-case text whose hyphens are spaces; a match
begins and ends at a word's boundary. The labels they stand for are CheXpert's (Irvin et al. 2019,
AAAI); the phrases are written for this package and are not those of the CheXpert labeler.
"""

from __future__ import annotations

from dataclasses import dataclass

OTHER_ABNORMALITY = "another abnormality"  # has no label, but rules out "No Finding"

PHRASES: dict[str, tuple[str, ...]] = {
    "Atelectasis": (r"atelecta\w+", r"collapsed?"),
    "Cardiomegaly": (r"cardiomegaly", r"cardiac enlargement", r"enlargement of the cardiac \w+"),
    "Consolidation": (r"consolidat\w+",),
    "Edema": (
        r"o?edema(?:tous)?",
        r"(?:congestive )?(?:heart|cardiac) failure",
        r"chf",
        r"(?:(?:pulmonary|vascular|venous|hilar|central) )+(?:congestion|engorgement)",
        r"(?:fluid|volume) overload",
    ),
    "Enlarged Cardiomediastinum": (r"mediastinal (?:widening|enlargement|prominence)",),
    "Fracture": (r"fractur\w+", r"broken ribs?"),
    "Lung Lesion": (
        r"nodul\w+",
        r"mass(?:es)?",
        r"lumps?",
        r"(?:lung|pulmonary|cavit\w+|parenchymal) lesions?",
        r"(?:adeno)?carcinomas?",
        r"neoplas\w+",
        r"tumou?rs?",
        r"malignan\w+",
        r"(?:lung|bronchogenic) cancers?",
        r"metasta\w+",
    ),
    "Lung Opacity": (
        r"opaci\w+",
        r"(?:ground glass|ggos?)",
        r"infiltrat\w+",
        r"air ?space (?:disease|shadow\w*|process)",
        r"shadow(?:s|ing)",
        r"haz(?:e|iness)",
        r"reticula\w+",
        r"interstitial (?:lung disease|disease|thickening|patterns?|prominence|abnormalit\w+|changes?)",
        r"(?:increased|prominent|coarsened|accentuated) (?:\w+ )?(?:interstitial|lung|bronchovascular) markings",
        r"(?:lung|pulmonary|parenchymal|apical|basal|linear|basilar) scar(?:s|ring)?",
        r"scarring",
    ),
    "Pleural Effusion": (
        r"effusions?",
        r"pleural fluid",
        r"fluid (?:in|within|along|tracking in\w*) the (?:\w+ )?(?:pleural space|pleura|fissures?)",
        r"hydro(?:pneumo)?thora(?:x|ces|xes)",
        r"ha?emothora(?:x|ces|xes)",
        r"empyema",
    ),
    "Pleural Other": (
        r"pleural (?:thickening|scar\w*|plaques?|calcification\w*|disease|tags?)",
        r"pleuro ?parenchymal scar\w*",
        r"fibrothorax",
        r"fibrosis",
    ),
    "Pneumonia": (
        r"(?:broncho)?pneumoni(?:a|as|ae|c|tis)",
        r"infecti(?:on|ons|ous)(?: process| etiology)?",
    ),
    "Pneumothorax": (r"(?:hydro)?pneumothora(?:x|ces|xes)", r"ptx"),
    "Support Devices": (
        r"(?:(?:endotracheal|et|nasogastric|ng|orogastric|og|enteric|feeding|gastric|gastrostomy|"
        r"tracheostomy|trach|dobb?hoff|thoracostomy|chest|pleural|nasoenteric|intercostal) )+"
        r"(?:tubes?|drains?)",
        r"(?:ett|ngt|ogt|dht)",
        r"tubes?",
        r"catheters?",
        r"(?:cvc|cvl|picc|ijv?|iabp|ecmo|lvad|icd|aicd)",
        r"(?:(?:central|venous|jugular|ij|subclavian|picc|arterial|femoral|midline|support) )+(?:lines?|access)",
        r"(?:port ?a ?cath\w*|portacaths?|mediports?|chest port|infusion port)",
        r"(?:pacemakers?|pacers?|defibrillators?|generator pack)",
        r"(?:pacemaker |pacer |pacing |icd |defibrillator |atrial |ventricular )*leads",
        r"(?:sternal|sternotomy|cerclage) wires?",
        r"(?:stents?|pigtails?|drains?|hardware|prosthe\w+)",
        r"(?:(?:surgical|vascular) clips?|balloon pump|swan ganz)",
        r"(?:support|monitoring|assist|medical|implanted|intracardiac) (?:devices?|apparatus)",
        r"intubat(?:ed|ion)",
        r"tracheostomy",
    ),
    OTHER_ABNORMALITY: (
        r"emphysema\w*",
        r"hyper(?:inflat|expan|lucen)\w+",
        r"blunt\w+",
        r"calcifi\w+",
        r"herni\w+",
        r"scoliosis",
        r"kypho\w+",
        r"degenerative",
        r"copd",
        r"asthma",
        r"bronch(?:iectasis|itis|iolitis|ospasm)",
        r"granuloma\w*",
        r"pneumo(?:mediastinum|peritoneum|pericardium)",
        r"pericardial effusions?",
        r"(?:lymph)?adenopathy",
        r"(?:hilar|aortic|vascular) (?:enlargement|prominence|dilatation|aneurysm)",
        r"(?:bronchial|peribronchial|wall|septal) (?:wall )?(?:thickening|cuffing)",
        r"elevat(?:ed|ion)(?: \w+){0,3} (?:hemi)?diaphragm",
        r"eventration",
        r"osteo(?:penia|porosis|phyt\w+)",
        r"bullae?",
        r"cavit(?:y|ies|ation\w*)",
        r"cysts?",
        r"abscess\w*",
        r"contusions?",
        r"ha?emorrhage",
        r"volume loss|loss of volume",
        r"aspiration",
        r"ards|(?:acute )?respiratory distress syndrome",
        r"air bronchograms?",
    ),
}

# A mention that lies inside one of these is none.
NOT_MENTIONS: dict[str, tuple[str, ...]] = {
    "Atelectasis": (r"(?:vertebral|compression|endplate|end plate)(?: \w+)? collapsed?",),
    "Edema": (r"(?:subcutaneous|peripheral|soft tissue|pedal|leg|chest wall) o?edema",),
    "Lung Lesion": (
        r"mass (?:effect|like)",
        r"nodular (?:pattern|thickening|contour)",
        r"body mass",
        r"nipple \w+",
        r"ha?ematologic(?:al)? malignan\w+",
        r"tumou?r markers",
    ),
    "Pleural Effusion": (r"(?:pericardial|joint)(?: \w+)? effusions?",),
    "Fracture": (r"fractured? (?:\w+ )?wires?",),
    "Pneumonia": (r"(?:hiv|urinary|wound|skin|soft tissue|sars cov 2|coronavirus) infecti\w+",),
    "Lung Opacity": (r"pleural scarring",),
}

# Structures that are a finding only where their predicate says so.
STRUCTURES: dict[str, tuple[str, ...]] = {
    "Cardiomegaly": (
        r"heart(?! (?:failure|border|valve|rate|transplant|disease|block))"
        r"(?: (?:size|silhouette|shadow|contours?|profile))?",
        r"(?:cardiac|cardiopericardial) (?:(?:and|,) (?:mediastinal|hilar) )?(?:silhouettes?|size|shadow|contours?|profile|borders)",
    ),
    "Enlarged Cardiomediastinum": (
        r"(?:superior |upper )?(?:cardio ?)?mediastinum",
        r"(?:cardio ?)?mediastinal (?:(?:and )?hilar )?(?:silhouettes?|contours?|configuration|width|structures|borders?)",
    ),
}
ENLARGED = (
    r"(?:enlarge\w*|widen\w*|dilated|prominent|prominence|increased in (?:size|width)|large|big)"
)
BORDERLINE = r"borderline"
NORMAL = r"(?:normal|unremarkable)"
FILLERS = r"(?:in|of|the|size|sized|width|transverse|overall|appearance|appearing|for)"


@dataclass(frozen=True)
class Cue:
    """Words that settle the mentions after (`before` is False) or before them in their clause."""

    kind: str  # negative | uncertain | ignored: no statement about now | positive: ends a denial
    phrases: tuple[str, ...]
    before: bool = False  # True: settles what stands before it
    only: str | None = None  # the one finding it speaks of


_SEEN = (
    r"(?:seen|identified|present|visuali[sz]ed|evident|appreciated|demonstrated|detected|noted|"
    r"visible|apparent|observed|found|shown|suspected)"
)
_BE = r"(?:is|are|was|were|has been|have been)"
_HOW = r"(?: (?:significant|substantial|acute|appreciable|interval|definite|obvious|convincing|large|major|relevant|further|short)){0,3}"
_CHANGE = r"(?:changes?|increase|decrease|improvement|worsening|progression|enlargement of the (?=effusion|pneumothorax))"

CUES: tuple[Cue, ...] = (
    Cue(
        "negative",
        (
            r"no",
            r"(?:no|without)(?: \w+)? (?:residual|persistent|persisting)",
            r"without",
            r"not",
            r"nor",
            r"nothing",
            r"neither",
            r"never",
            r"den(?:y|ies|ied)",
            r"negative for",
            r"(?:free|clear) of",
            r"(?:absence|lack) of",
            r"(?:complete |interval )*(?:resolution|clearing|clearance) of",
            r"rather than",
            r"rul(?:es|ed|ing) out",
            r"excludes",
            r"no longer",
        ),
    ),
    Cue(
        "negative",
        (
            rf"{_BE} not (?:\w+ )?{_SEEN}",
            rf"not {_SEEN}",
            rf"{_BE} (?:no longer|never) {_SEEN}",
            rf"{_BE} (?:absent|excluded|ruled out|unlikely)",
            r"(?:has|have)(?: (?:now|also|since|completely|entirely))? (?:resolved|cleared|disappeared)",
            r"(?:is|are) (?:now |completely )?resolved",
            r"(?:completely |now )?resolved",
            r"unlikely",
            r"(?:is|are) gone",
            r": (?:none|absent|negative|nil|not seen|not present)",
            r": no(?= ?,|$)",
        ),
        before=True,
    ),
    Cue(
        "negative",
        (r"(?:interval )?removal of",),
        only="Support Devices",
    ),
    Cue(
        "negative",
        (r"(?:has|have|is|are|was|were)(?: \w+)? (?:been )?(?:removed|withdrawn)", r"removal"),
        before=True,
        only="Support Devices",
    ),
    Cue(
        "uncertain",
        (
            r"possib(?:le|ly|ility of)",
            r"(?:may|might|could)(?: also| well)?(?: (?:be|represent|reflect|indicate|suggest))?",
            r"(?:can|would) (?:be due to|represent|reflect|indicate|suggest)",
            r"maybe",
            r"perhaps",
            r"(?:can ?not|could not|unable to|difficult to|hard to|impossible to|not possible to|"
            r"fail(?:s|ed)? to|insufficient to|inadequate to|not) (?:\w+ )?(?:exclude|rule out)",
            r"not (?:exclude|rule out)",
            r"not (?:certain|sure|clear)(?: (?:that|whether|if))?(?: there (?:is|are))?",
            r"no (?:evidence|findings?|signs?|views?) to (?:exclude|rule out)",
            r"(?:doubtful|dubious|uncertain|unclear|unsure|doubts?)"
            r"(?: (?:for|of|about|as to|over))?(?: (?:whether|if)(?: or not)?(?: there (?:is|are))?)?",
            r"(?:suspicio(?:n|us)|concern(?:ing)?|worrisome|questionable) (?:for|of)",
            r"suspect(?:ed)?",
            r"question(?:able)?(?: of)?",
            r"presum(?:ed|ably)",
            r"prob(?:able|ably)",
            r"(?:most |less |more )?likely",
            r"suggest(?:s|ing|ive|ion)?(?: of)?",
            r"(?:favou?r|consider)(?:s|ed|ing)?",
            r"differential(?: diagnosis)?(?: \w+)? includes?",
            r"equivocal",
            r"(?:near|nearly|almost) (?:complete )?(?:resolution|clearing|regression) of",
        ),
    ),
    Cue(
        "uncertain",
        (
            rf"(?:{_BE} )?(?:can ?not|could not|not|difficult to|hard to|impossible to)(?: \w+)?(?: be)?(?: \w+)? (?:excluded?|rule(?:d)? out|confirmed)",
            rf"{_BE} not (?:\w+ )?(?:excluded|ruled out)",
            rf"{_BE} (?:also |still )?(?:possible|questionable|equivocal|probable|likely|suspected|"
            r"(?:doubtful|dubious|uncertain)(?! (?:whether|if|for|of|about|as))|in doubt|in question|"
            r"not (?:certain|definite|confirmed)(?! (?:whether|if|that)))",
            r"(?:may|might|could) (?:also )?(?:be|have been) (?:present|considered|due)",
            r"should be considered",
            rf"(?:{_BE} )?(?:not|poorly|incompletely)(?: (?:well|adequately|fully|completely|clearly))? (?:evaluated|assessed)",
            rf"(?:{_BE} )?not (?:well|clearly) (?:seen|visuali[sz]ed)",
            r"(?:is|are|has|have)(?: now)? (?:nearly|almost|mostly|largely)(?: completely)? (?:resolved|cleared)",
        ),
        before=True,
    ),
    Cue(
        "ignored",
        (
            r"(?:to )?(?:evaluate|assess|evaluation|assessment|check|look|query)(?: \w+)? for",
            r"(?:to )?(?:rule out|r/o)",
            r"to exclude",
            r"(?:history|h/o)(?: of)?",
            r"risk of",
            r"if(?: there (?:is|are|remains))?(?:(?: \w+){0,2} (?:concern|suspicion|question)s? (?:for|of))?",
        ),
    ),
    Cue(
        "positive",
        (
            rf"(?:no|not|without){_HOW} {_CHANGE}(?: (?:in|of))?",
            r"not (?:\w+ )?(?:changed|increased|decreased|improved|worsened|progressed)",
            r"no doubt",
            r"(?:unchanged|stable|persist(?:ent|ing)|known|increas(?:ed|ing)|decreas(?:ed|ing)|"
            r"improv(?:ed|ing)|worsen(?:ed|ing)|again seen|again noted|residual)",
            r"(?:partial|incomplete) (?:resolution|clearing) of",
        ),
    ),
    Cue(
        "positive",
        (r"(?:is|are|has|have)(?: only)? (?:partially|partly|incompletely) (?:resolved|cleared)",),
        before=True,
    ),
)

# Between a cue and a mention, one of these ends the cue's reach.
ENDS = (
    r"\b(?:but|however|although|though|except|apart from|aside from|other than|otherwise|while|"
    r"whereas|nevertheless|yet|still|which|then|there (?:is|are|has|have|was|were)|"
    r"secondary to|due to|because of|given|despite|after|following|status post|since|"
    r"in the setting of|obscured by|superimposed on)\b",
    r"\bwith (?:an?|the|small|trace|tiny|moderate|large|mild|minimal|bilateral|left|right|new|associated|adjacent)\b",
    r"(?:,|\band|, and) (?:the|an?|there|small|trace|tiny|moderate|mild|mildly|minimal|heart|lungs)\b",
    r"\b(?:is|are|was|were|remains?|persists?|has|have)\b[^,]*(?:,|\band\b)",
)
# The same for a cue that stands after the mention: its own verb comes with it.
ENDS_BEFORE = (
    r"\b(?:but|however|although|though|while|whereas|which|with|there (?:is|are|was|were))\b",
    r"\b(?:is|are|was|were|remains?|persists?|has|have|shows?|demonstrates?|may|could|might|represents?|reflects?)\b",
)
# Denials of denials and contracted ones, said plainly before a sentence is read, in this order.
_THERE = r"(there (?:is|are|was|were))"
PLAINLY: tuple[tuple[str, str], ...] = (
    (r"\bcan't\b", "cannot"),
    (r"n't\b", " not"),
    (r"\bnot only\b", "indeed"),
    (
        r"\bit (?:is|was|remains) (?:impossible|not possible|hard|difficult) to(?= exclude| rule out)",
        "cannot",
    ),
    (rf"\bnot (?:the case|true|correct|so) that {_THERE} (?:no|not an?y?)\b", r"so that \1"),
    (rf"\bnot (?:the case|true|correct|so) that {_THERE}(?: an?| any)?\b", r"so that \1 no"),
    (r"\bnot (?:the case|true|correct|so) that (.*?) (is|are|was|were) not\b", r"so that \1 \2"),
    (rf"\bunlikely that {_THERE} (?:no|not an?y?)\b", r"possible that \1 possibly"),
    (
        r"\b(?:not|never|no longer) (?:entirely |completely |wholly |quite )?"
        r"(?:without|free of|free from|clear of|devoid of|lacking)\b",
        "having",
    ),
    (r"\b(?:not|never) (?:absent|gone)\b|\bno longer (?:absent|gone)\b", "present"),
    (r"\bnot no\b|\b(?:no|without)(?: an?| any)? (?:absence|lack) of\b", "definite"),
    (
        r"\b(?:no|not|without)(?: an?| any)?(?: \w+)? (?:resolution|clearing|clearance) of\b",
        "persistent",
    ),
    (r"\b(?:has|have|was|were|is|are) not (?:yet )?(?:been )?(?:removed|withdrawn)\b", "remains"),
    (r"\b(is|are|was|were) not (?:entirely |very )?(?:unlikely|improbable)\b", r"\1 possible"),
    (r"\bnot (?:unlikely|improbable)\b", "possible"),
    (r"\b(?:is|are) not in (?:any )?doubt\b", "is present"),
    (r"\bno reason to doubt\b|\bwithout (?:any )?doubt\b|\bundoubted(?:ly)?\b", "no doubt"),
)
# A word that stands for the finding named last: "…, but a small one persists on the left".
PRONOUN = (
    r"(?<!\bno )(?<!\bnot )\bones?(?= (?:is|are|was|were|has|have|had|persists?|remains?|develops|"
    r"appears|on|in|at|there|(?:may|might|could|can ?not|can|should) (?:also )?be|which|that)\b|,|$)"
)
# The same without a word for it: "but now there is", "but persists on the left", "the left persists".
LEFT_OUT = (
    r"\b(?:but|yet|however|although|though)(?: now)? there (?:is|are)(?: now)?(?=,|$)"
    r"|\b(?:but|yet|though|although)(?: it| they)?(?= (?:(?:is|are) (?:\w+ )?(?:present|seen|noted|"
    r"visible|evident|identified)|persists?|remains? (?:on|in|at))\b)"
    r"|\b(?:the|an?) (?:\w+ )?(?:left|right|other)(?= (?:persists?|remains? (?:unchanged|stable)|"
    r"is (?:unchanged|stable|larger|smaller)|remains(?=,|$))\b)"
)
# Two mentions with one of these and at most three words on either side between them: it is one of them.
ALTERNATIVES = r"(?:or|versus|vs|and/or)"
