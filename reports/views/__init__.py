"""The report's two looks: a page of HTML and a PDF, both made from one `reports.document.Document`."""
