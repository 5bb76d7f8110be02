"""Keys of business forms of the typewriter and fax years, by the kind of form, and how they are varied. Data mostly."""

from __future__ import annotations

from random import Random

_THEMES = {
    "memo": """To:person;From:person;Date:date;Subject:title;Re:title;cc:copies;Copies to:copies;Via:short;File:ref;File Code:ref;Page:tiny;Phone:phone;Ext:tiny
;Department:department;Location:city;Dictated by:initials;Typist:initials;Attention:person;Enclosures:tiny;Priority:level;Requested Action:action;Reply by:date
;Originator:signer;Distribution:copies;Class:tiny;Due:day;Title:title;Division:department;Building:tiny;Mail Stop:code;Classification:level""",
    "fax": """To:person;From:person;Fax:phone;Fax No:phone;Fax Number:phone;Phone:phone;Telephone:phone;Date:date;Time:time;Company:company;Firm:company;Re:title
;Number of Pages:tiny;Pages (including cover):pages;Number of pages including this sheet:pages;Sender's Fax:phone;Recipient Fax No:phone;Voice:phone
;Client / Matter No:ref;Confirmation No:phone;Room:tiny;Operator:initials;Telecopier No:phone;Return Fax:phone;Floor:tiny;Attn:person;City:city
;Special Instructions:remark;Message:remark;Comments:remark;Total Pages:tiny;Sent by:initials;Location:place;Department:department;Urgent:yes;Time sent:time""",
    "lab": """Sample No:ref;Sample:specimen;Sample Description:specimen;Compound:chemical;Compound Code:ref;Source:department;Lot No:ref;Date Received:date;Date Tested:range
;Date Reported:date;Date Completed:date;Investigator:signer;Investigator(s):signers;Notebook Page:ref;Solvent:chemical;Concentration (mg/ml):measure;Purity:percent
;Melting Point:measure;Molecular Weight:decimal;Molecular Formula:formula;Solubility:measure;Appearance:looks;Storage:remark;Test Article:chemical;Species:species
;Strain:ref;Dose Level:measure;Route:route;Vehicle:chemical;Number of Animals:tiny;Body Weight:measure;Analyst:initials;Technician:signed;Requested by:signer
;Supervisor:signer;Project No:ref;Study No:ref;Study Title:title;Protocol:ref;Purpose of Test:remark;Method:remark;Method of Preparation:remark;Conclusion:remark
;Results:remark;Estimated Class:roman;Batch Number:roman;Pressure:measure;Draft:decimal;Length:measure;Circumference:measure;Moisture:percent;Paper:specimen
;Filter Length:measure;Filter Type:material;Adhesive:chemical;Ink:material;Coating:material;Wrapper:material;Blend:specimen;Weight:measure;Porosity:measure
;Temperature:measure;Humidity:percent;Code:ref;Humectants:percent;Flavor:chemical;pH:decimal;Viscosity:measure;Density:decimal;Plate Count:decimal;Control:decimal
;Charge No:ref;Machine:machine;Roller:machine;Speed:measure;Gauge:tiny;Glue Type:material;Finish:looks;Tensile Strength:measure;Perforations:short;Color:looks
;Type of Pack:material;Packs per Carton:tiny;Report No:ref;Accession No:ref;Registry No:cas;Reviewed by:signed""",
    "promotion": """Brand:brand;Brands Included:brands;Brand(s) Covered:brands;Promotion:promo;Promotion Name:promo;Promo #:tiny;Region:region;Division:tiny;Area:region
;Chain:company;Account:company;Account Name:company;No. of Stores:count;# of Stores:count;# Reps:tiny;Number of Calls:count;Volume:count;Estimated Volume:count
;Display Type:material;Sales Area(s):areas;Market:city;Markets:areas;Start Date:date;End Date:date;Promotional Period:months;Drop Date:date;Expiration Date:date
;Coupon Value:money;Issue Date:date;Circulation:count;Retail Price:money;Buydown per Carton:money;Item:item;Item/Brand:brand;Quantity:count;Pieces:count
;Cartons:count;Competitive Activity:remark;Trade Response:remark;Consumer Response:remark;Distribution:percent;Effectiveness:remark;Explain:remark;Comments:remark
;Reported by:signer;Manager:person;Submitted by:signer;Sales Rep:person;Territory:tiny;Week of:date;Event:promo;Event Location:place;Event Date:range;Attendance:count
;Sample Packs:count;Hours:hours;Reason for Change:remark;Theme:promo;Vehicle:media;Allowance:money;Redemption:percent;Shelf Space:percent;Total Accounts:count""",
    "media": """Advertiser:company;Agency:company;Product:brand;Station:station;Publication:media;Media:media;Issue:month;Issue Date:date;Insertion Date:date;Space:space;Color:looks
;Position:position;Rate:money;Gross:money;Net Cost:money;Commission:percent;Closing Date:date;Circulation:count;Estimate No:ref;Contract No:ref;Order No:ref
;Flight Dates:range;Wave(s):date;Length:length;Daypart:hours;Market:city;Buyer:person;Rep:person;Campaign:promo;Headline:promo;Caption:promo;Size:space
;Job No:ref;Art Director:person;Proof No:tiny;Copy:promo;Material No:ref;Edition:region;Frequency:freq;Total Spots:count;Bill to:party;Materials due:date
;Ad Number:ref;Language:short;Contact:person;Title of Ad:promo;Unit:space;Total Cost:money;Discount:percent;Date of Order:date;Account Executive:person""",
    "budget": """Project:title;Project No:ref;Project Title:title;Budget Year:year;Account No:ref;Acct. No:ref;Account Code:ref;Cost Center:ref;Amount:money;Amount Requested:money
;Original Budget:money;Current Balance:money;Bal. Remaining:negative;Closing Balance:negative;Present Amount:money;Earlier Approvals:money;Total Committed:money;Change:negative
;Corrected Total:money;Authorization No:ref;Request No:ref;Supplier:company;Vendor:company;Vendor No:ref;Requested by:signed;Approved by:signed;Approved:initials
;Date Approved:date;Initiated:signed;Originator:signer;Department:department;Dept. No:tiny;Date Required:date;Purchase Order No:ref;P.O. No:ref;Check No:ref
;Payee:person;Description:remark;Purpose:remark;Reason(s):remark;Reasons for Revision:remark;Justification:remark;Charge to:ref;Accrual:money;Cumulative:money
;Fiscal Period:months;Quantity:count;Unit:short;Unit Price:money;Delivery Date:date;Ship via:short;Ship to:party;Terms:terms;Freight:money;Sales Tax:money
;Sent to Accounting:date;Division Head:signed;Controller:signed;Field Work:money;Tabulation:money;Interviews:count;Fee:money;Total:money;Spending to Date:money
;Study Cost:money;Effective:date;Commitment No:ref;Estimated Cost:money;Travel:money;Page:tiny""",
    "registration": """Name:person;Last Name:surname;First Name:given;M.I.:letter;Initials:letters;Title:role;Position:role;Company:company;Organization:company;Affiliation:company
;Address:party;Street:street;City:city;State:state;Zip:zip;Zip Code:zip;City, State, Zip:town;Country:nation;Telephone:phone;Phone (Day):phone;Phone (Evening):phone;Fax:phone
;Date of Birth:date;Age:tiny;Sex:letter;Height:feet;Weight:measure;Social Security No:ssn;Nationality:nation;Marital Status:status;Spouse:person;Number of Children:tiny
;Education:school;Degree:degree;Year:year;Occupation:role;Employer:company;Years with Company:tiny;Hotel:company;Arrival Date:date;Departure Date:date
;Number of Guests:tiny;Room Type:material;Booth No:ref;Registration Fee:money;Amount Enclosed:money;Card Number:card;Expiration:expiry;Name on Badge:given;Membership No:ref
;Member Since:year;Dues:money;Sponsor:person;Emergency Contact:person;Shirt Size:letters;Signature:signer;Date Signed:date;Event:promo;Payment:terms;License No:ref""",
    "legal": """Case No:ref;Docket No:ref;Court:court;County:place;County of:place;State of:state;Plaintiff:person;Plaintiff(s):persons;Defendant:company;Title of Suit:title;Judge:person
;Attorney for Plaintiff:person;Attorney:person;Firm:company;Date of Service:date;Date and Time Served:stamped;Nature of Action:remark;Served on:person;Process Served:short
;Answer due:day;Jurisdiction:state;Bill No:ref;Sponsor:person;Author:person;Title of Bill:title;Date of Hearing:date;Committee:department;Remarks:remark;Notary Public:person
;My Commission Expires:date;Witness:person;Speaker:person;Deponent:person;Exhibit:letter;Volume:roman;Bates Range:idrange;Agent:company;Signed:signer;Amount Claimed:money
;Insurance Carrier:company;Policy No:ref;Lobbyist:person;Compensation:money;Reporting Period:months;Lease Term:months;Lessor:company;Lessee:person""",
}
THEMES: dict[str, tuple[tuple[str, str], ...]] = {
    theme: tuple((name, kind) for name, kind in (f.strip().rsplit(":", 1) for f in text.replace("\n", "").split(";")))
    for theme, text in _THEMES.items()
}
"""Keys of each theme, each with the kind of its value (``wording.MAKERS``)."""

_SUBJECTS = """Sample;Test;Report;Order;Shipment;Contract;Project;Study;Product;Coupon;Program;Display;Meeting;Media;Account;Vendor;Unit;Carton;Batch;Customer
;Field;Proposal;Survey;Committee;Request;Invoice;Budget;Market;Patient;Applicant;Material;Label;Package;Target;Package Insert;Consumer;Panel;Interview;Supplier
;Task;Machine;Section;Series;Retail;Wholesale;Base;Primary;Final;Total;Original;Revised;Requested;Alternate;Initial""".replace(
    "\n", ""
).split(";")
_HEADS = """No:ref;Number:ref;#:tiny;Date:date;Code:ref;Name:promo;Type:material;Status:status;Cost:money;Quantity:count;Size:measure;Rate:percent;Weight:measure
;Period:months;Manager:person;Coordinator:person;Location:place;Title:title;Description:remark;Time:time;Value:money;Level:level;Count:count;Length:measure;Group:letter
;Class:roman;Amount:money;Volume:count;Price:money;Agency:company;Unit:short;Approval:signed;Contact:person;Reference:ref;Objective:remark;Year:year;Total:count
;Requirements:remark;Area:areas;Source:company;Hours:hours""".replace("\n", "").split(";")  # fmt: skip
_TAILS = ("(if applicable)", "(please print)", "(s)", "(mm)", "(specify)", "- Est.", "*", "(see over)", "(000)", "(attach copy)",
          "of Record", "per Unit", "to Date", "(if any)", "(optional)", "Required", "& Title", "/ Dept.", "(Check one)")  # fmt: skip

SENTENCES = tuple(
    (text.strip(), kind)
    for text, kind in (
        line.rsplit(":", 1)
        for line in """For questions about this order, please call:person;Please return this form to:person;Name of person to be contacted for further information:person
;Number of pages transmitted (including this page):pages;If you do not receive all pages, please call:phone;Please deliver the following pages to:person
;Have you ever been a member before? If so, when?:year;How did shoppers take to the offer?:remark;Did the stock last?:yes;Would you run the program again?:yes
;How many stores took part in the program?:count;List any other products tested during this period:brands;Date by which results are needed:date;Is the sample to be returned?:yes
;State the reason for the change in the original estimate:remark;Estimated cost of the work described above:money;Total number of samples received in this shipment:count
;Describe special handling or storage needed:remark;The undersigned hereby appoints as agent:person;In the matter of:title;Amount to be charged to the above account:money
;Person responsible for the equipment:signer;How did you hear about this meeting?:short;Which days will you attend?:range;I will bring the following number of guests:tiny
;Name and address of the laboratory:party;Do you expect further shipments? Explain:remark;To whom should the invoice be sent?:party;Maximum amount not to exceed:money
;Time allowed for reply after service:days;Percent of accounts with the display in place:percent;Average number of units sold per week:decimal;Names of all persons present:persons
;Does the proposal replace an earlier one? Give its number:ref;What competing brands were on offer?:brands;Who will supervise the field work?:person;Any known hazards:short""".replace(
            "\n", ""
        ).split(";")
    )
)
"""Keys that are whole sentences."""
CHOICES = tuple(
    (prompt.strip(), tuple(options.split(",")))
    for prompt, options in (
        line.split(":")
        for line in """Scope:Area,Region,Division,Other;Rating:Poor,Fair,Good,Excellent;Quality:Weak,Average,Good,Superior;Priority:Low,Normal,High,Rush;Status:New,Revised,Cancelled
;Was the stock enough?:Yes,No;Return sample?:Yes,No;Confidential:Yes,No;Approved:Yes,No;Solvent:Water,Alcohol,Ether,Other;Family:Ester,Ketone,Acid,Other;Method of payment:Check,Money Order,Visa,Bill me
;Sex:Male,Female;Membership:Student,Regular,Life,Corporate;Storage:Cold,Dry,Dark,Vacuum;Sent by:Mail,Courier,Fax,Messenger;Type of request:New,Change,Delete;Media:Radio,Print,Outdoor,Direct Mail
;Frequency:Daily,Weekly,Monthly;Pack:Soft,Box,Tin;Reply requested:Yes,No;Region:North,South,East,West;Action:For approval,For comment,For your files,Please call;Size:Small,Medium,Large
;Room:Single,Double,Suite;Attending:Dinner,Tour,Lecture,Golf;Color:Two color,Four color,Black & white;Division:Full,Partial,None;Shipped:Air,Truck,Rail;Result:Positive,Negative,Doubtful""".replace(
            "\n", ""
        ).split(";")
    )
)
"""Prompts with options to tick."""
SECTIONS = """General Information;For Office Use Only;Part A;Part B;Section I;Section II;Specifications;Approvals;Sample Data;Physical Properties;Distribution
;Cost Summary;Shipping Instructions;To be completed by supplier;Test Conditions;Personal Data;Schedule;Market Data;Results;Product Description;Materials;Budget Summary
;Field Report;Terms and Conditions;Routing;Requirements;For Accounting Use;Remarks and Approvals;Making;Packing;Method of Payment;Background;Registration Fees""".replace("\n", "").split(";")  # fmt: skip
TITLES = {
    "memo": "Memorandum;Interoffice Memo;Inter-Office Correspondence;Routing Slip;Transmittal Slip;Record of Telephone Call;Speed Letter;Document Clearance FormCanvas;Action Request",
    "fax": "Fax Cover FormCanvas;Facsimile Transmittal;Telecopier Cover Letter;Fax Transmission;Facsimile Message;Telefax;Fax Memo",
    "lab": "Compound Data FormCanvas;Assay Report;Sample Analysis Request;Physical Test Report;Test Specification;Material Evaluation;Research Work Order;Toxicology Summary;Trial Run FormCanvas;Laboratory Record",
    "promotion": "Special Offer Report;Progress Report;Sales Report;Store Audit;Coupon Authorization;Retail Program Summary;Trade Survey;Competitive Activity Report;Event Evaluation;Sampling Plan",
    "media": "Insertion Order;Media Authorization;Broadcast Order;Advertising Contract;Print Estimate;Production Order;Space Reservation;Creative Brief",
    "budget": "Project Authorization;Budget Change Request;Purchase Requisition;Check Request;Expense Authorization;Cost Estimate;Capital Request;Commitment Notice;Research Budget Revision",
    "registration": "Registration Form;Membership Application;Hotel Reservation;Conference Registration;Biographical Sketch;Personnel Record;Entry Form;Exhibitor Application",
    "legal": "Notice of Service of Process;Statement of Registration;Affidavit;Summons Report;Case Summary;Legislative Bulletin;Deposition Notice;Claim Form;Privilege Log Entry",
}


def chosen(theme: str, rng: Random, count: int) -> list[tuple[str, str]]:
    """``count`` different keys with kinds: the theme's own, composed ones, a few of other themes or whole sentences."""
    own, fields = THEMES[theme], dict[str, str]()
    while len(fields) < count:
        roll = rng.random()
        if roll < 0.68:
            name, kind = rng.choice(own)
        elif roll < 0.88:
            name, kind = composed(rng)
        elif roll < 0.97:
            name, kind = rng.choice(THEMES[rng.choice(tuple(THEMES))])
        else:
            name, kind = rng.choice(SENTENCES)
        fields.setdefault(name + (" " + rng.choice(_TAILS) if rng.random() < 0.05 else ""), kind)
    return list(fields.items())


def composed(rng: Random) -> tuple[str, str]:
    """A key of two or three words: "Retail Carton Weight"."""
    head, kind = rng.choice(_HEADS).split(":")
    first = rng.sample(_SUBJECTS, rng.choice((1, 1, 1, 2)))
    if rng.random() < 0.12:
        return f"{head} of {' '.join(first)}", kind
    return f"{' '.join(first)} {head}", kind


def near(name: str, rng: Random) -> str:
    """A key much like ``name`` that asks for something else: one of its words is another one."""
    words = name.split(" ")
    at = rng.randrange(len(words))
    if len(words) == 1:
        return f"{rng.choice(_SUBJECTS)} {name}" if rng.random() < 0.5 else f"{name} {rng.choice(_HEADS).split(':')[0]}"
    words[at] = rng.choice(_SUBJECTS) if at == 0 else rng.choice(_HEADS).split(":")[0]
    return " ".join(words)
