"""The grammar of the notes: phrases with slots, for complaints, histories and findings.

Brackets mark the trigger word: `on long-term [prednisolone]`. Braces contain alternatives: `{left|right}`. `<name>` is
a slot that the writer fills.
"""

from collections.abc import Mapping, Sequence

COMPLAINTS: Mapping[str, Sequence[str]] = {
    "pneumonia": (
        "fever and productive cough",
        "cough with green sputum for {three|four|five} days",
        "rigors, cough and pleuritic pain",
    ),
    "heart_failure": ("breathlessness and ankle swelling", "orthopnoea for a week", "waking at night short of breath"),
    "pneumothorax": (
        "sudden pleuritic chest pain",
        "sudden breathlessness {while lifting|at rest|after coughing}",
        "sharp one-sided chest pain",
    ),
    "copd_exacerbation": ("worsening wheeze", "increasing inhaler use and wheeze", "wheeze and purulent sputum"),
    "sepsis": ("rigors and low blood pressure", "fever without clear source", "confusion and fever"),
    "lung_cancer": (
        "weight loss and haemoptysis",
        "persistent cough and weight loss",
        "haemoptysis for {two|six} weeks",
    ),
}
VAGUE: Sequence[str] = ("shortness of breath", "chest discomfort", "feeling generally unwell", "breathlessness")
QUESTIONS: Mapping[str, Sequence[str]] = {
    "pneumonia": ("?pneumonia", "Query infection", "Possible pneumonia"),
    "heart_failure": ("?heart failure", "Query overload", "Possible failure"),
    "pneumothorax": ("?pneumothorax", "Rule out pneumothorax", "Query pneumothorax"),
    "copd_exacerbation": ("?exacerbation", "Query infective exacerbation", "Please assess"),
    "sepsis": ("?source of sepsis", "Query chest source", "Please assess"),
    "lung_cancer": ("?mass", "Query malignancy", "Rule out malignancy"),
}
BACKGROUND: Mapping[str, Sequence[str]] = {
    "copd": ("COPD", "known COPD"),
    "heart_failure": ("chronic heart failure", "known heart failure"),
    "diabetes": ("type 2 diabetes", "diabetes"),
    "hypertension": ("hypertension",),
    "atrial_fibrillation": ("atrial fibrillation", "AF"),
}

#: Histories that change the outcome: phrases that affirm and that deny them.
HISTORY: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "immunosuppressed": (
        (
            "[Immunosuppressed] after a {kidney|liver|heart} transplant",
            "Currently on [chemotherapy]",
            "On long-term high-dose [prednisolone]",
            "[Neutropenic] on recent bloods",
            "Takes [methotrexate] for arthritis",
        ),
        ("Not [immunosuppressed]", "No [chemotherapy] or steroids", "Denies taking [prednisolone]"),
    ),
    "aspirated": (
        (
            "[Choked] on food before admission",
            "Witnessed [aspiration] at {lunch|dinner|breakfast}",
            "[Aspirated] during a seizure",
            "[Dysphagia] since a stroke, coughs on fluids",
        ),
        ("No witnessed [aspiration]", "Never [choked] on food", "No [dysphagia]"),
    ),
    "frail": (
        (
            "[Bedbound] at baseline",
            "[Frail], needs help with all care",
            "Lives in a [nursing] home",
            "[Housebound] with carers four times a day",
        ),
        (
            "Not [frail], {plays golf|walks daily|drives}",
            "Independent, not [bedbound]",
            "Has never needed a [nursing] home",
        ),
    ),
}
HISTORY_ASIDE: Sequence[str] = (
    "Allergic to penicillin",
    "Ex-smoker",
    "Smokes {ten|twenty} a day",
    "Retired {teacher|joiner|nurse|farmer}",
    "Lives with {husband|wife|daughter}",
    "Family history of lung cancer",
    # Words around triggers must also occur without them: words that always co-occur cannot be distinguished.
    "Well after a {kidney|liver|heart} scan",
    "{Sister|Brother} had a {kidney|liver|heart} transplant",
    "Currently on {holiday|leave}",
    "On long-term high-dose {vitamin D|folate}",
    "{Anaemic|Normal platelets} on recent bloods",
    "Takes {paracetamol|ibuprofen} for arthritis",
    "{Vomited|Fasted} before admission",
    "Eats {soft|spicy} food",
    "Witnessed {fall|faint} at {lunch|dinner|breakfast}",
    "Bit {tongue|lip} during a seizure",
    "{Limps|Diplopia} since a stroke, copes with fluids",
    "Coughs on {waking|exertion}",
    "{Hypertensive|Cheerful} at baseline",
    "{Blind|Deaf}, needs help with all care",
    "Lives in a {new|family} home",
    "{Widowed|Divorced} with carers four times a day",
)

#: Findings in the words of a radiologist, present and absent. No phrase gives the size of a lesion.
PRESENT: Mapping[str, Sequence[str]] = {
    "effusion": (
        "<hedge><side> pleural [effusion]",
        "Blunting of <angle>, <hedge>[effusion]",
        "<hedge>[effusion] <on_side>",
    ),
    "consolidation": (
        "<hedge>[consolidation] in the <side> <zone> zone",
        "<side> <zone> zone airspace [opacity]",
        "Patchy [opacification] in the <side> <zone> zone, <hedge>[consolidation]",
    ),
    "nodule": (
        "<hedge>[nodule] in the <side> <zone> zone",
        "Rounded [opacity] in the <side> <zone> zone, <hedge>[nodule]",
        "<side> <zone> zone pulmonary [nodule]",
    ),
    "cardiomegaly": ("<hedge>[cardiomegaly]", "The heart is [enlarged]", "[Enlarged] cardiac silhouette"),
    "pneumothorax": ("<hedge><side> [pneumothorax]", "Visible pleural line <on_side>, <hedge>[pneumothorax]"),
}
ABSENT: Mapping[str, Sequence[str]] = {
    "effusion": ("No pleural [effusion]", "Costophrenic angles are clear, no [effusion]"),
    "consolidation": ("No focal [consolidation]", "No airspace [opacity]", "Lungs without [consolidation]"),
    "nodule": ("No suspicious [nodule]", "No [nodule] or mass"),
    "cardiomegaly": ("Heart size is normal", "The heart is not [enlarged]", "No [cardiomegaly]"),
    "pneumothorax": ("No [pneumothorax]", "No evidence of [pneumothorax]"),
}
HEDGES: Sequence[str] = ("possible ", "probable ", "questionable ", "suspected ", "cannot exclude ")
ASIDE: Sequence[str] = (
    "No acute bony abnormality",
    "Degenerative changes of the spine",
    "The mediastinum is unremarkable",
    "Monitoring leads in place",
    "Old healed rib fracture",
    "Trachea is central",
    "Mild unfolding of the aorta",
)
CLEAR: Sequence[str] = ("No acute cardiopulmonary abnormality", "No acute findings", "Clear lungs, normal heart")
FOLLOW_UP: Sequence[str] = ("Clinical correlation advised", "Follow-up film suggested", "Suggest CT if not improving")
